// Activations as the integer kernels want them: int8 with a scale per block of 32 columns.
//
// A row is a sequence of chunks of 256 columns, eight blocks each; what the last block and the last
// chunk lack is zeros. A chunk's values stand in four planes of 64 bytes, each with 8 bytes of
// every block, such that weights become planes in the same order by cheap shuffles of what lies in
// the file:
//
//   plane      0             1             2               3
//   for int4   0,2 … 14      1,3 … 15      16,18 … 30      17,19 … 31     columns of the block
//   for int8   0,1 … 7       8,9 … 15      16,17 … 23      24,25 … 31
//   bytes      0-7 block 0, 8-15 block 4, then blocks 1, 5, 2, 6, 3, 7
//
// The products of bytes 4i to 4i+3 of all planes are summed in lane i, so a lane has 16 columns of
// one block, and a block two lanes. Per lane a chunk also has the block's scale, and what to add
// when the weights are taken as unsigned, raised by 8 or 128.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "tensor/type.h"

namespace diptych::kernels {

inline constexpr int64_t kBlock = 32;   // columns that share a scale
inline constexpr int64_t kChunk = 256;  // columns of a chunk
inline constexpr int kPlanes = 4;
inline constexpr int kLanes = 16;

struct alignas(64) ActivationChunk {
  int8_t planes[kPlanes][64];
  float scales[kLanes];
  float offsets[kLanes];  // -8 (int4) or -128 (int8) times the sum of the lane's values times scale
};
static_assert(sizeof(ActivationChunk) == 384);

// Quantised rows. Immutable once made; any number of threads may read it.
struct QuantizedActivations {
  const std::byte* data = nullptr;  // aligned to 64 bytes
  DType weights = DType::Int4;      // of the weights to multiply with: Int4 or Int8
  int64_t rows = 0, columns = 0;
};

// Bytes of quantised rows, a multiple of 64.
size_t quantized_bytes(int64_t rows, int64_t columns);

// Quantises rows [first, last) of x, row m at x + m * x_stride, to their places in `out`, which is
// aligned to 64 bytes and has room for all rows. A row's bytes depend on that row alone and are the
// same for every instruction set.
//
// A block's scale is max|x| / 127 and its values x / scale, rounded to nearest, ties to even, so
// that |x - q * scale| <= scale / 2. When the scale would be below 2^-126, the least normal number,
// the block is zeros and so is the scale. When the block has a NaN or an infinity, the scale is NaN
// and with it all that is computed from the row.
void quantize(Isa isa, const float* x, int64_t x_stride, int64_t columns, DType weights,
              int64_t first, int64_t last, std::byte* out);

}  // namespace diptych::kernels
