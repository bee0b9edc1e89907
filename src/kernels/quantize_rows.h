// Quantisation of rows. Included by each variant's file, to be compiled for its instruction set;
// hence the unnamed namespace.
#pragma once

#include "kernels/variant.h"

namespace diptych::kernels {
namespace {

// A block's scale, and what its values are multiplied with to become integers.
struct BlockScale {
  float scale, inverse;

  // From the bits of the largest magnitude: without their sign, floats compare as integers do, NaN
  // above all.
  explicit BlockScale(uint32_t largest) {
    const bool finite = largest < 0x7F800000u;
    if (!finite || largest < __builtin_bit_cast(uint32_t, 127 * 0x1p-126f)) {
      scale = finite ? 0.0f : __builtin_nanf("");
      inverse = 0;
      return;
    }
    scale = __builtin_bit_cast(float, largest) / 127.0f;
    inverse = 127.0f / __builtin_bit_cast(float, largest);
  }
  // Else its values are zeros.
  bool is_usual() const { return inverse > 0; }
};

// In plain C++, the specification.
struct PlainQuantizer {
  // Quantises 32 values to the bytes that plane after plane has of them. Returns their scale.
  template <class Chunk>
  static float quantize_block(const float* x, DType weights, int8_t* out) {
    uint32_t largest = 0;
    for (int i = 0; i < kBlock; ++i) {
      const uint32_t magnitude = __builtin_bit_cast(uint32_t, x[i]) & 0x7FFFFFFFu;
      largest = largest < magnitude ? magnitude : largest;
    }
    const BlockScale scale(largest);
    // The sum's last bit is worth 1, so the addition rounds, and its low bits are the integer.
    constexpr float kRound = 0x1.8p23f;
    for (int plane = 0; plane < Chunk::kPlanes; ++plane) {
      for (int byte = 0; byte < Chunk::kBlockBytes; ++byte) {
        const float value = x[Chunk::column(weights, plane, byte)];
        const float rounded = value * scale.inverse + kRound;
        *out++ = scale.is_usual() ? static_cast<int8_t>(__builtin_bit_cast(int32_t, rounded))
                                  : int8_t{0};
      }
    }
    return scale.scale;
  }

  // From a chunk's planes and scales.
  template <class Chunk>
  static void set_offsets(DType weights, Chunk& chunk) {
    const int32_t raised = weights == DType::Int4 ? 8 : 128;
    for (int lane = 0; lane < kLanes; ++lane) {
      int32_t sum = 0;
      for (const auto& plane : chunk.planes) {
        for (int i = 0; i < 4; ++i) sum += plane[4 * lane + i];
      }
      chunk.offsets[lane] = static_cast<float>(-raised * sum) * chunk.scales[lane];
    }
  }
};

// Makes a chunk of the first of `columns` values; if those are fewer, the others are zeros.
template <class Quantizer, class Chunk>
void quantize_chunk(const float* x, int64_t columns, DType weights, Chunk& out) {
  if (columns < Chunk::kColumns) out = {};
  for (int block = 0; block < Chunk::kBlocks && block * kBlock < columns; ++block) {
    const int64_t count = columns - block * kBlock;
    const float* values = x + block * kBlock;
    float some[kBlock];
    if (count < kBlock) {
      __builtin_memset(some, 0, sizeof some);
      __builtin_memcpy(some, values, static_cast<size_t>(count) * sizeof(float));
      values = some;
    }
    alignas(32) int8_t bytes[kBlock];
    const float scale = Quantizer::template quantize_block<Chunk>(values, weights, bytes);
    const int lane = Chunk::first_lane(block);
    for (int plane = 0; plane < Chunk::kPlanes; ++plane) {
      __builtin_memcpy(out.planes[plane] + 4 * lane, bytes + plane * Chunk::kBlockBytes,
                       Chunk::kBlockBytes);
    }
    for (int i = 0; i < Chunk::kBlockLanes; ++i) out.scales[lane + i] = scale;
  }
  Quantizer::set_offsets(weights, out);
}

// Makes a short chunk of one whose columns it has room for.
inline void shorten(DType weights, Chunk512& chunk) {
  const Chunk512 from = chunk;
  __builtin_memset(chunk.planes, 0, sizeof chunk.planes);
  for (int block = 0; block < ShortChunk::kBlocks; ++block) {
    // Four bytes of each plane become a lane.
    for (int plane = 0; plane < Chunk512::kPlanes; ++plane) {
      const int to = weights == DType::Int4 ? plane % 2 : plane / 4;
      const int lane = weights == DType::Int4 ? plane / 2 : plane % 4;
      __builtin_memcpy(chunk.planes[to] + 4 * (ShortChunk::first_lane(block) + lane),
                       from.planes[plane] + 4 * Chunk512::first_lane(block), 4);
    }
  }
}

// Quantises rows, chunk by chunk.
template <class Quantizer, class Chunk>
void quantize_rows(const QuantizeCall& call, std::byte* out) {
  const int64_t chunks = quotient_rounded_up(call.columns, Chunk::kColumns);
  for (int64_t m = call.first; m < call.last; ++m) {
    auto* const row = reinterpret_cast<Chunk*>(out) + m * chunks;
    for (int64_t c = 0; c < chunks; ++c) {
      const int64_t at = c * Chunk::kColumns;
      quantize_chunk<Quantizer>(call.x + m * call.x_stride + at, call.columns - at, call.weights,
                                row[c]);
    }
    if constexpr (Chunk::kPlanes == Chunk512::kPlanes) {
      if (ends_in_short_chunk(call.columns)) shorten(call.weights, row[chunks - 1]);
    }
  }
}

}  // namespace
}  // namespace diptych::kernels
