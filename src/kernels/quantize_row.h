// Quantisation of one row, in plain C++ that compilers vectorise. Included by each variant's file,
// to be compiled for its instruction set; hence the unnamed namespace.
#pragma once

#include "kernels/variant.h"

namespace diptych::kernels {
namespace {

// The place of a block's bytes in a plane, in units of 8 bytes.
constexpr int kSlots[] = {0, 2, 4, 6, 1, 3, 5, 7};

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
void place_block(const int8_t* q, DType weights, int slot, ActivationChunk& chunk) {
  if (weights == DType::Int4) {
    for (int i = 0; i < 8; ++i) {
      for (int plane = 0; plane < kPlanes; ++plane) {
        chunk.planes[plane][8 * slot + i] = q[16 * (plane / 2) + 2 * i + plane % 2];
      }
    }
  } else {
    for (int plane = 0; plane < kPlanes; ++plane) {
      __builtin_memcpy(chunk.planes[plane] + 8 * slot, q + 8 * plane, 8);
    }
  }
}

void quantize_row(const float* x, int64_t columns, DType weights, ActivationChunk* out) {
  const int32_t raised = weights == DType::Int4 ? 8 : 128;
  for (int64_t at = 0; at < columns; at += kChunk, ++out) {
    if (columns - at < kChunk) *out = {};
    for (int block = 0; block < 8 && at + block * kBlock < columns; ++block) {
      int8_t q[kBlock];
      const int slot = kSlots[block];
      const int64_t begin = at + block * kBlock, count = columns - begin;
      const float* values = x + begin;
      float some[kBlock];
      if (count < kBlock) {
        __builtin_memset(some, 0, sizeof some);
        __builtin_memcpy(some, values, static_cast<size_t>(count) * sizeof(float));
        values = some;
      }
      const float scale = quantize_block(values, q);
      place_block(q, weights, slot, *out);
      out->scales[2 * slot] = out->scales[2 * slot + 1] = scale;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      int32_t sum = 0;
      for (int plane = 0; plane < kPlanes; ++plane) {
        for (int i = 0; i < 4; ++i) sum += out->planes[plane][4 * lane + i];
      }
      out->offsets[lane] = static_cast<float>(-raised * sum) * out->scales[lane];
    }
  }
}

}  // namespace
}  // namespace diptych::kernels
