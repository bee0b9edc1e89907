#include "tensor/diagonal.h"

#include <algorithm>

namespace diptych {

namespace {

class TimesDiagonal : public Weight {
 public:
  TimesDiagonal(WeightRef matrix, WeightRef diagonal)
      : Weight({DType::F32, matrix->shape()}),
        matrix_(std::move(matrix)),
        diagonal_(std::move(diagonal)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const std::vector<float> values = TRY(read_floats(*matrix_, first, count));
    const std::vector<float> factors = TRY(read_floats(*diagonal_));
    const size_t columns = factors.size();
    for (size_t row = 0; row < static_cast<size_t>(count); ++row) {
      std::byte* const to = out.data() + row * row_bytes();
      for (size_t c = 0; c < columns; ++c) {
        const double product = static_cast<double>(values[row * columns + c]) * factors[c];
        store(to + c * sizeof(float), static_cast<float>(product));
      }
    }
    return {};
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    hasher.add(std::string_view("times diagonal"));
    hasher.add(matrix_->digest(cache));
    hasher.add(diagonal_->digest(cache));
    return {};
  }

 private:
  WeightRef matrix_, diagonal_;
};

class DiagonalMatrix : public Weight {
 public:
  explicit DiagonalMatrix(WeightRef diagonal)
      : Weight({DType::F32, {diagonal->rows(), diagonal->rows()}}),
        diagonal_(std::move(diagonal)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const std::vector<float> values = TRY(read_floats(*diagonal_, first, count));
    std::fill(out.begin(), out.end(), std::byte{0});
    for (size_t i = 0; i < values.size(); ++i) {
      const uint64_t at = i * row_elements() + static_cast<uint64_t>(first) + i;
      store(out.data() + at * sizeof(float), values[i]);
    }
    return {};
  }

 private:
  WeightRef diagonal_;
};

}  // namespace

WeightRef times_diagonal(WeightRef matrix, WeightRef diagonal) {
  return std::make_shared<TimesDiagonal>(std::move(matrix), std::move(diagonal));
}

WeightRef diagonal_matrix(WeightRef diagonal) {
  return std::make_shared<DiagonalMatrix>(std::move(diagonal));
}

}  // namespace diptych
