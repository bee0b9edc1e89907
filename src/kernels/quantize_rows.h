// Quantisation of rows, in plain C++ that compilers vectorise. Included by each variant's file,
// to be compiled for its instruction set; hence the unnamed namespace.
#pragma once

#include "kernels/variant.h"

namespace diptych::kernels {
namespace {

// Quantises 32 values and returns their scale.
float quantize_block(const float* x, int8_t* q) {
  // Without their sign, floats compare as integers do, NaN above all.
  uint32_t largest = 0;
  for (int i = 0; i < kBlock; ++i) {
    const uint32_t magnitude = __builtin_bit_cast(uint32_t, x[i]) & 0x7FFFFFFFu;
    largest = largest < magnitude ? magnitude : largest;
  }
  const bool finite = largest < 0x7F800000u;
  if (!finite || largest < __builtin_bit_cast(uint32_t, 127 * 0x1p-126f)) {
    for (int i = 0; i < kBlock; ++i) q[i] = 0;
    return finite ? 0.0f : __builtin_nanf("");
  }
  const float scale = __builtin_bit_cast(float, largest) / 127.0f;
  // The sum's last bit is worth 1, so the addition rounds, and its low bits are the integer.
  constexpr float kRound = 0x1.8p23f;
  for (int i = 0; i < kBlock; ++i) {
    q[i] = static_cast<int8_t>(__builtin_bit_cast(int32_t, x[i] / scale + kRound));
  }
  return scale;
}

// Puts a block's values where the weights of that type will meet them.
template <class Chunk>
void place_block(const int8_t* q, DType weights, int lane, Chunk& chunk) {
  constexpr int kBytes = Chunk::kBlockBytes;
  for (int plane = 0; plane < Chunk::kPlanes; ++plane) {
    int8_t* const to = chunk.planes[plane] + 4 * lane;
    if (weights == DType::Int4) {
      for (int i = 0; i < kBytes; ++i) to[i] = q[Chunk::column(DType::Int4, plane, i)];
    } else {
      __builtin_memcpy(to, q + Chunk::column(DType::Int8, plane, 0), kBytes);
    }
  }
}

// Makes a chunk of the first of `columns` values; if those are fewer, the others are zeros.
template <class Chunk>
void quantize_chunk(const float* x, int64_t columns, DType weights, Chunk& out) {
  if (columns < Chunk::kColumns) out = {};
  for (int block = 0; block < Chunk::kBlocks && block * kBlock < columns; ++block) {
    int8_t q[kBlock];
    const int lane = Chunk::first_lane(block);
    const int64_t count = columns - block * kBlock;
    const float* values = x + block * kBlock;
    float some[kBlock];
    if (count < kBlock) {
      __builtin_memset(some, 0, sizeof some);
      __builtin_memcpy(some, values, static_cast<size_t>(count) * sizeof(float));
      values = some;
    }
    const float scale = quantize_block(values, q);
    place_block(q, weights, lane, out);
    for (int i = 0; i < Chunk::kBlockLanes; ++i) out.scales[lane + i] = scale;
  }
  const int32_t raised = weights == DType::Int4 ? 8 : 128;
  for (int lane = 0; lane < kLanes; ++lane) {
    int32_t sum = 0;
    for (const auto& plane : out.planes) {
      for (int i = 0; i < 4; ++i) sum += plane[4 * lane + i];
    }
    out.offsets[lane] = static_cast<float>(-raised * sum) * out.scales[lane];
  }
}

// Quantises rows, chunk by chunk.
template <class Chunk>
void quantize_rows(const QuantizeCall& call, std::byte* out) {
  const int64_t chunks = (call.columns + Chunk::kColumns - 1) / Chunk::kColumns;
  for (int64_t m = call.first; m < call.last; ++m) {
    auto* const row = reinterpret_cast<Chunk*>(out) + m * chunks;
    for (int64_t c = 0; c < chunks; ++c) {
      const int64_t at = c * Chunk::kColumns;
      quantize_chunk(call.x + m * call.x_stride + at, call.columns - at, call.weights, row[c]);
    }
  }
}

}  // namespace
}  // namespace diptych::kernels
