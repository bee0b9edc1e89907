// The specification of the kernels, in plain C++.
#include <algorithm>

#include "base/bytes.h"
#include "base/half.h"
#include "kernels/quantize_rows.h"
#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

float load_float(const std::byte* data, DType dtype, int64_t index) {
  if (dtype == DType::F32) return load<float>(data + 4 * index);
  const auto bits = load<uint16_t>(data + 2 * index);
  return dtype == DType::BF16 ? bfloat16_to_float(bits) : half_to_float(bits);
}

int load_int(const std::byte* data, DType dtype, int64_t index) {
  if (dtype == DType::Int8) return load<int8_t>(data + index);
  const int nibble = load<uint8_t>(data + index / 2) >> (index % 2 * 4) & 15;
  return (nibble ^ 8) - 8;
}

float load_offset(const LinearWeight& weight, int64_t index) {
  return weight.offsets == nullptr ? 0 : load_float(weight.offsets, weight.scale_dtype, index);
}

// The sum of the products of a block's columns [begin, end) with the weights from `first` on, which
// is the block's, less the offset. (Without one it is an integer.)
float block_products(const LinearWeight& weight, int64_t first, int64_t begin, int64_t end,
                     float offset, const Chunk256& chunk, int block) {
  int products = 0, sum = 0;
  for (int plane = 0; plane < Chunk256::kPlanes; ++plane) {
    for (int byte = 0; byte < Chunk256::kBlockBytes; ++byte) {
      const int column = Chunk256::column(weight.dtype, plane, byte);
      if (column < begin || column >= end) continue;
      const int value = chunk.planes[plane][4 * Chunk256::first_lane(block) + byte];
      products += load_int(weight.data, weight.dtype, first + column) * value;
      sum += value;
    }
  }
  return static_cast<float>(products) - offset * static_cast<float>(sum);
}

float dot(const LinearWeight& weight, const Chunk256* x, int64_t row) {
  const int64_t scales_per_row = weight.columns / weight.block;
  const int64_t step = std::min(weight.block, kBlock);  // (a row of its own may have fewer)
  float sum = 0;
  for (int64_t begin = 0; begin < weight.columns; begin += step) {
    const Chunk256& chunk = x[begin / Chunk256::kColumns];
    const int block = static_cast<int>(begin % Chunk256::kColumns / kBlock);
    const int64_t scale = row * scales_per_row + begin / weight.block;
    const int64_t of_block = begin % kBlock;
    const float products =
        block_products(weight, row * weight.columns + begin - of_block, of_block,
                       std::min(of_block + step, weight.columns - begin + of_block),
                       load_offset(weight, scale), chunk, block);
    sum += products * chunk.scales[Chunk256::first_lane(block)] *
           load_float(weight.scales, weight.scale_dtype, scale);
  }
  return sum;
}

void linear(const LinearTask& task) {
  const auto& [weight, x, first, last, y, fetch_ahead] = task;
  const auto* chunks = reinterpret_cast<const Chunk256*>(x.data);
  const int64_t chunks_per_row = quotient_rounded_up(x.columns, Chunk256::kColumns);
  for (int64_t m = 0; m < x.rows; ++m) {
    for (int64_t row = first; row < last; ++row) {
      y.data[m * y.stride + row] = dot(weight, chunks + m * chunks_per_row, row);
    }
  }
}

void linear_float(const FloatWeight& weight, const FloatInput& x, int64_t first, int64_t last,
                  const Output& y) {
  for (int64_t m = 0; m < x.rows; ++m) {
    for (int64_t row = first; row < last; ++row) {
      float sum = 0;
      for (int64_t i = 0; i < weight.columns; ++i) {
        sum += load_float(weight.data, weight.dtype, row * weight.columns + i) *
               x.data[m * x.stride + i];
      }
      y.data[m * y.stride + row] = sum;
    }
  }
}

// The floats that columns [begin, end) of a row stand for.
void dequantize(const LinearWeight& weight, int64_t row, int64_t begin, int64_t end, float* out) {
  while (begin < end) {
    const int64_t block = begin / weight.block;
    const int64_t index = row * (weight.columns / weight.block) + block;
    const float scale = load_float(weight.scales, weight.scale_dtype, index);
    const float offset = load_offset(weight, index);
    const int64_t stop = std::min((block + 1) * weight.block, end);
    for (; begin < stop; ++begin) {
      const int q = load_int(weight.data, weight.dtype, row * weight.columns + begin);
      *out++ = (static_cast<float>(q) - offset) * scale;
    }
  }
}

void linear_dequantized(const LinearWeight& weight, const FloatInput& x, int64_t first,
                        int64_t last, const Output& y) {
  constexpr int64_t kPart = 1024;
  float weights[kPart];
  for (int64_t row = first; row < last; ++row) {
    for (int64_t begin = 0; begin < weight.columns; begin += kPart) {
      const int64_t end = std::min(begin + kPart, weight.columns);
      dequantize(weight, row, begin, end, weights);
      for (int64_t m = 0; m < x.rows; ++m) {
        float& result = y.data[m * y.stride + row];
        float sum = begin == 0 ? 0 : result;
        for (int64_t i = begin; i < end; ++i) sum += weights[i - begin] * x.data[m * x.stride + i];
        result = sum;
      }
    }
  }
}

// The index of an element of a stream of indices.
int64_t index_at(const PaletteWeight& weight, int64_t element) {
  const int64_t bit = element * weight.bits;
  auto window = static_cast<uint32_t>(weight.data[bit / 8]);
  if (bit % 8 + weight.bits > 8) window |= static_cast<uint32_t>(weight.data[bit / 8 + 1]) << 8;
  return window >> bit % 8 & ((1u << weight.bits) - 1);
}

// An entry of the table of a row.
template <class Entry>
Entry entry_at(const PaletteWeight& weight, const Entry* tables, int64_t row, int64_t column) {
  const int64_t table = row / weight.rows_per_table << weight.bits;
  return tables[table + index_at(weight, row * weight.columns + column)];
}

float palette_dot(const PaletteWeight& weight, const Chunk256* x, int64_t row) {
  float sum = 0;
  for (int64_t begin = 0; begin < weight.columns; begin += kBlock) {
    const Chunk256& chunk = x[begin / Chunk256::kColumns];
    const int lane = Chunk256::first_lane(static_cast<int>(begin % Chunk256::kColumns / kBlock));
    int products = 0;
    for (int plane = 0; plane < Chunk256::kPlanes; ++plane) {
      for (int byte = 0; byte < Chunk256::kBlockBytes; ++byte) {
        const int64_t column =
            begin + Chunk256::column(palette_activations(weight.bits), plane, byte);
        if (column >= weight.columns) continue;
        products +=
            entry_at(weight, weight.codes, row, column) * chunk.planes[plane][4 * lane + byte];
      }
    }
    sum += static_cast<float>(products) * chunk.scales[lane];
  }
  return sum * weight.scales[row];
}

void linear_palette(const PaletteTask& task) {
  const auto& [weight, x, first, last, y, fetch_ahead] = task;
  const auto* chunks = reinterpret_cast<const Chunk256*>(x.data);
  const int64_t chunks_per_row = quotient_rounded_up(x.columns, Chunk256::kColumns);
  for (int64_t m = 0; m < x.rows; ++m) {
    for (int64_t row = first; row < last; ++row) {
      y.data[m * y.stride + row] = palette_dot(weight, chunks + m * chunks_per_row, row);
    }
  }
}

void linear_palette_dequantized(const PaletteWeight& weight, const FloatInput& x, int64_t first,
                                int64_t last, const Output& y) {
  for (int64_t m = 0; m < x.rows; ++m) {
    for (int64_t row = first; row < last; ++row) {
      float sum = 0;
      for (int64_t i = 0; i < weight.columns; ++i) {
        sum += entry_at(weight, weight.entries, row, i) * x.data[m * x.stride + i];
      }
      y.data[m * y.stride + row] = sum;
    }
  }
}

}  // namespace

const Variant kScalarVariant = {
    sizeof(Chunk256), Chunk256::kColumns, 1, quantize_rows<PlainQuantizer, Chunk256>, linear,
    linear_float,     linear_dequantized};
const PaletteKernels kScalarPalettes = {8, linear_palette, linear_palette_dequantized};
const IsaKernels kScalarKernels = {&kScalarVariant, &kScalarPalettes, nullptr, nullptr};

}  // namespace diptych::kernels
