#include "quant/gptq_factor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quant/matrix_product.h"
#include "quant/sum_of_rows.h"

namespace diptych::quant {

namespace {

constexpr double kDamping = 0.01;
constexpr size_t kFactorBlock = 96;      // rows that are worked on together
constexpr int64_t kColumns = 256;        // the least that a thread takes
constexpr size_t kColumnsAtOnce = 1024;  // of a triangle that is taken as a staircase

// Calls body(first, end) on ranges of the columns [first, end), by several threads.
template <class Body>
void for_columns(ThreadPool& pool, size_t first, size_t end, Body body) {
  pool.parallel_for(static_cast<int64_t>(end - first), kColumns, [&](int64_t begin, int64_t stop) {
    // Tiles of a few kilobytes a row stay in a core's cache from row to row.
    for (int64_t at = begin; at < stop; at += kColumns) {
      body(first + static_cast<size_t>(at),
           first + static_cast<size_t>(std::min(at + kColumns, stop)));
    }
  });
}

// Replaces the upper triangle of the symmetric `a` [n, n] by V, a = VᵀV. What is left below the
// diagonal means nothing. False when `a` is not positive definite.
bool decompose(std::vector<float>& a, size_t n, ThreadPool& pool) {
  for (size_t first = 0; first < n; first += kFactorBlock) {
    const size_t end = std::min(first + kFactorBlock, n);
    // What the rows above contribute.
    const MatrixView above{a.data() + first, n};
    add_product(above.transposed(), above, first, -1,
                {a.data() + first * n + first, n, end - first, n - first}, pool);
    // The block's own triangle, then what is to the right of it.
    for (size_t k = first; k < end; ++k) {
      float* row = a.data() + k * n;
      add_rows({a.data() + first * n + k, n, a.data() + first * n + k, n, k - first}, -1, row + k,
               end - k);
      if (!(row[k] > 0) || !std::isfinite(row[k])) return false;
      const float inverse = 1 / std::sqrt(row[k]);
      for (size_t j = k; j < end; ++j) row[j] *= inverse;
    }
    for_columns(pool, end, n, [&](size_t begin, size_t stop) {
      for (size_t k = first; k < end; ++k) {
        float* row = a.data() + k * n;
        add_rows({a.data() + first * n + begin, n, a.data() + first * n + k, n, k - first}, -1,
                 row + begin, stop - begin);
        const float inverse = 1 / row[k];
        for (size_t j = begin; j < stop; ++j) row[j] *= inverse;
      }
    });
  }
  return true;
}

// Replaces `v` [n, n], whose upper triangle counts, by the inverse of that, with zeros below.
void invert(std::vector<float>& v, size_t n, ThreadPool& pool) {
  std::vector<float> factors(kFactorBlock * n);  // the block's rows as they were
  for (size_t end = n; end > 0;) {
    const size_t first = (end - 1) / kFactorBlock * kFactorBlock;
    for (size_t k = first; k < end; ++k) {
      std::copy_n(v.data() + k * n + k, n - k, factors.data() + (k - first) * n + k);
      std::fill_n(v.data() + k * n + first, n - first, 0.0f);
      v[k * n + k] = 1;
    }
    // What the rows below contribute, which have zeros before their diagonal.
    for (size_t begin = end; begin < n; begin += kColumnsAtOnce) {
      const size_t stop = std::min(begin + kColumnsAtOnce, n);
      add_product({factors.data() + end, n}, {v.data() + end * n + begin, n}, stop - end, -1,
                  {v.data() + first * n + begin, n, end - first, stop - begin}, pool);
    }
    for_columns(pool, first, n, [&](size_t begin, size_t stop) {
      for (size_t k = end; k-- > first;) {
        float* row = v.data() + k * n;
        const float* factor = factors.data() + (k - first) * n;
        add_rows({v.data() + (k + 1) * n + begin, n, factor + k + 1, 1, end - k - 1}, -1,
                 row + begin, stop - begin);
        const float inverse = 1 / factor[k];
        for (size_t j = begin; j < stop; ++j) row[j] *= inverse;
      }
    });
    end = first;
  }
}

}  // namespace

Hessian::Hessian(size_t width) : width_(width), upper_(width * width) {}

void Hessian::add(std::span<const float> inputs, ThreadPool& pool) {
  const size_t count = inputs.size() / width_;
  samples_ += count;
  const MatrixView rows{inputs.data(), width_};
  add_product(rows.transposed(), rows, count, 1, {upper_.data(), width_, width_, width_}, pool,
              Wanted::Upper);
}

Result<GptqFactor> factorize(const Hessian& hessian, ThreadPool& pool) {
  const size_t n = hessian.width();
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += static_cast<double>(hessian.at(i, i));
  if (!std::isfinite(trace)) {
    return invalid_data(kInfiniteInputs);
  }
  // Without any input all weights are alike.
  const auto damping =
      static_cast<float>(trace > 0 ? kDamping * trace / static_cast<double>(n) : 1.0);
  GptqFactor factor;
  factor.importance.resize(n);
  for (size_t i = 0; i < n; ++i) factor.importance[i] = hessian.at(i, i) + damping;
  factor.order.resize(n);
  std::iota(factor.order.begin(), factor.order.end(), size_t{0});
  std::stable_sort(factor.order.begin(), factor.order.end(),
                   [&](size_t a, size_t b) { return factor.importance[a] > factor.importance[b]; });

  // From behind: with A = H backwards = VᵀV, H = R Rᵀ for R = Vᵀ backwards, which is upper
  // triangular, and U = R^-1 is (V^-1)ᵀ backwards.
  std::vector<float>& matrix = factor.upper;
  matrix.resize(n * n);
  pool.parallel_for(static_cast<int64_t>(n), 16, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const size_t row = factor.order[n - 1 - i];
      for (size_t j = i; j < n; ++j) matrix[i * n + j] = hessian.at(row, factor.order[n - 1 - j]);
      matrix[i * n + i] += damping;
    }
  });
  if (!decompose(matrix, n, pool)) {
    return invalid_data(
        "the calibration's inputs are too large or too much alike; calibrate with "
        "more text");
  }
  invert(matrix, n, pool);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; i + j < n - 1; ++j) {
      std::swap(matrix[i * n + j], matrix[(n - 1 - j) * n + (n - 1 - i)]);
    }
  }
  return factor;
}

}  // namespace diptych::quant
