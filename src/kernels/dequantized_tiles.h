// The loops of linear_dequantized() that the vector variants share. Included by each variant's
// file, to be compiled for its instruction set; hence the unnamed namespace.
//
// With one row of x, weights become floats in registers: a tile is the products of R rows of the
// weight with it. With several they do once, a panel at a time. The sums are those of float_tiles.h
// over these floats, in the same order.
//
// V describes, besides what float_tiles.h needs:
//   Steps<type>               made of a scale and an offset: what turns integers of a type into
//                             floats
//   dequantize<type>(p, s)    kLanes weights at p, two to a byte for int4, as floats
#pragma once

#include "kernels/float_tiles.h"

namespace diptych::kernels {
namespace {

// The steps of a block, by its number among all of a weight.
template <class V, DType type>
typename V::template Steps<type> block_steps(const LinearWeight& weight, int64_t block) {
  const int64_t at = block * scale_width(weight);
  const float offset =
      weight.offsets == nullptr ? 0 : V::scalar(weight.offsets + at, weight.scale_dtype);
  return {V::scalar(weight.scales + at, weight.scale_dtype), offset};
}

// Rows at once: enough sums that none waits for its last addition.
constexpr int kDequantizedRows = 4;

template <class V, DType type, int R>
void dequantized_tile(const LinearWeight& weight, const float* x, int64_t row, int64_t last,
                      float* y) {
  using Floats = typename V::Floats;
  using Steps = typename V::template Steps<type>;
  const int64_t columns = weight.columns, row_bytes = bytes_of_columns<type>(columns);
  const std::byte* data[R];
  int64_t blocks[R];
  Floats sums[R][1];
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    const int64_t index = row + r < last ? row + r : row;
    data[r] = weight.data + index * row_bytes;
    blocks[r] = index * (columns / weight.block);
    sums[r][0] = V::zero();
  }

  Steps steps[R];
  const auto add_products = [&](int64_t column) __attribute__((always_inline)) {
    const Floats values = V::load_f32(x + column);
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      const Floats weights =
          V::template dequantize<type>(data[r] + bytes_of_columns<type>(column), steps[r]);
      sums[r][0] = V::multiply_add(weights, values, sums[r][0]);
    }
  };
  constexpr int64_t kLineColumns = type == DType::Int4 ? 128 : 64;  // one prefetch for each

  for (int64_t begin = 0; begin < columns; begin += weight.block) {
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      steps[r] = block_steps<V, type>(weight, blocks[r]++);
    }
    const int64_t end = begin + weight.block;
    int64_t at = begin;
    while (at + V::kLanes <= end) {
      if (at % kLineColumns == 0) fetch_ahead(data, bytes_of_columns<type>(at), row_bytes);
      const int64_t stop = least(at - at % kLineColumns + kLineColumns, end);
      for (; at + V::kLanes <= stop; at += V::kLanes) add_products(at);
    }
    if (at == end) continue;
    // The end of the row, with zeros in the lanes that have no column.
    const auto rest = static_cast<size_t>(end - at);
    float values[V::kLanes] = {};
    __builtin_memcpy(values, x + at, rest * sizeof(float));
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      std::byte some[V::kLanes] = {};
      __builtin_memcpy(some, data[r] + bytes_of_columns<type>(at),
                       static_cast<size_t>(bytes_of_columns<type>(end - at)));
      float weights[V::kLanes], floats[V::kLanes] = {};
      V::store_f32(V::template dequantize<type>(some, steps[r]), weights);
      __builtin_memcpy(floats, weights, rest * sizeof(float));
      sums[r][0] = V::multiply_add(V::load_f32(floats), V::load_f32(values), sums[r][0]);
    }
  }
  float results[R][1];
  V::sum_all(sums, results);
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    if (row + r < last) y[row + r] = results[r][0];
  }
}

// Integers that become floats.
template <class V, DType type>
class DequantizedRows {
 public:
  static constexpr DType kType = DType::F32;

  explicit DequantizedRows(const LinearWeight& weight) : weight_(weight) {}
  PartRows panel(int64_t first, int64_t last, const Part& part) {
    for (int64_t row = first; row < last; ++row) {
      dequantize(row, part, reinterpret_cast<float*>(memory_.rows[row - first]));
    }
    return {memory_.rows[0], memory_.kRowBytes, first};
  }
  ByteRange bytes_of(int64_t first, int64_t last) const {
    return {at(first, 0), at(least(last, weight_.rows), 0)};
  }

 private:
  const std::byte* at(int64_t row, int64_t column) const {
    return weight_.data + bytes_of_columns<type>(row * weight_.columns + column);
  }

  // Whole registers: what follows the last column is of no meaning.
  void dequantize(int64_t row, const Part& part, float* to) const {
    const int64_t first_block = row * (weight_.columns / weight_.block);
    for (int64_t column = part.first; column < part.last;) {
      const int64_t block = column / weight_.block;
      const auto steps = block_steps<V, type>(weight_, first_block + block);
      const int64_t end = least((block + 1) * weight_.block, part.last);
      for (; column + V::kLanes <= end; column += V::kLanes, to += V::kLanes) {
        V::store_f32(V::template dequantize<type>(at(row, column), steps), to);
      }
      if (column == end) continue;
      std::byte some[V::kLanes] = {};
      __builtin_memcpy(some, at(row, column),
                       static_cast<size_t>(bytes_of_columns<type>(end - column)));
      V::store_f32(V::template dequantize<type>(some, steps), to);
      column = end;
    }
  }

  const LinearWeight& weight_;
  using Memory = PanelMemory<kType, kFloatRowsAtOnce>;
  Memory& memory_ = kernel_object<Memory>(KernelMemory::Panel);
};

template <class V, DType type>
void multiply_dequantized(const LinearWeight& weight, const FloatInput& x, int64_t first,
                          int64_t last, const Output& y) {
  if (x.rows > 1) {
    return float_panels(FloatCall<V>{weight.columns, x, last, y}, DequantizedRows<V, type>(weight),
                        first);
  }
  constexpr int R = kDequantizedRows;
  for (int64_t row = first; row < last; row += R) {
    dequantized_tile<V, type, R>(weight, x.data, row, last, y.data);
  }
}

template <class V>
void linear_dequantized(const LinearWeight& weight, const FloatInput& x, int64_t first,
                        int64_t last, const Output& y) {
  const auto run = weight.dtype == DType::Int4 ? multiply_dequantized<V, DType::Int4>
                                               : multiply_dequantized<V, DType::Int8>;
  run(weight, x, first, last, y);
}

}  // namespace
}  // namespace diptych::kernels
