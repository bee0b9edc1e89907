// Activations as the integer kernels want them: int8 with a scale per block of 32 columns, but for
// a few outliers of each row.
//
// A row is a sequence of chunks; what the last block and the last chunk lack is zeros. The last
// chunk may be a short one (below). A chunk's values stand in planes of 64 bytes, each with a few
// bytes of every block, such that weights become planes in the same order by cheap shuffles of what
// lies in the file. The products of bytes 4i to 4i+3 of all planes are summed in lane i: with 4
// planes a block has two lanes, with 8 it has one. Per lane a chunk also has the block's scale, and
// what to add when the weights are taken as unsigned, raised by 8 or 128.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "tensor/type.h"

namespace diptych::kernels {

inline constexpr int64_t kBlock = 32;  // columns that share a scale
// The first half of a chunk's planes has the first half of each block.
inline constexpr int64_t kHalfBlock = kBlock / 2;
inline constexpr int kLanes = 16;

template <int planes_per_chunk>
struct alignas(64) ActivationChunk {
  static constexpr int kPlanes = planes_per_chunk;
  static constexpr int kColumns = 64 * kPlanes;
  static constexpr int kBlocks = 2 * kPlanes;
  static constexpr int kBlockLanes = kLanes / kBlocks;
  static constexpr int kBlockBytes = 4 * kBlockLanes;  // of one plane

  int8_t planes[kPlanes][64];
  float scales[kLanes];
  float offsets[kLanes];  // -8 (int4) or -128 (int8) times the sum of the lane's values times scale

  // (Inlined always: files for several instruction sets include this.)
  // The first lane of a block: of 8 blocks 0, 4, 1, 5, 2, 6, 3, 7 stand in this order, and of 16
  // 0, 4, 8, 12, 1, 5 and so on.
  [[gnu::always_inline]] static constexpr int first_lane(int block) {
    return (block % 4 * (kBlocks / 4) + block / 4) * kBlockLanes;
  }

  // The column of a block that is byte `byte` of the block's bytes in a plane. A pair of planes has
  // the even and the odd columns of two such runs for int4, whose bytes hold a pair of columns;
  // each plane has a run of its own for int8.
  [[gnu::always_inline]] static constexpr int column(DType weights, int plane, int byte) {
    return weights == DType::Int4 ? plane / 2 * (2 * kBlockBytes) + 2 * byte + plane % 2
                                  : plane * kBlockBytes + byte;
  }
};

// Scalar code.
using Chunk256 = ActivationChunk<4>;
// Vector code: a block's products are one sum of integers, which takes fewer instructions and is
// what matrix instructions compute.
using Chunk512 = ActivationChunk<8>;
static_assert(sizeof(Chunk256) == 384 && sizeof(Chunk512) == 640);

// Rows of 576 columns, say, would fill an eighth of their second Chunk512. So a last Chunk512 of at
// most 128 columns is short: its values stand in its first two planes as in a chunk that has no
// more, four lanes a block. Kernels add these up as integers, in the lane that the block has in any
// Chunk512. There, and only there, stand scale and offset.
using ShortChunk = ActivationChunk<2>;
// (Inlined always, like the above.)
[[gnu::always_inline]] constexpr bool ends_in_short_chunk(int64_t columns) {
  const int64_t rest = columns % Chunk512::kColumns;
  return 0 < rest && rest <= ShortChunk::kColumns;
}

// AMX, when there are at least as many rows, of no more columns than that: the Chunk512 of 16 rows,
// none of them short, turned, so that a block's values are a matrix as the instructions want it.
// Rows that the last tile lacks are zeros.
struct alignas(64) ActivationTile {
  static constexpr int kRows = 16;
  static constexpr int kMaxColumns = 16384;
  int8_t values[kLanes][Chunk512::kPlanes][kRows][4];
  float scales[kLanes][kRows];
  float offsets[kLanes][kRows];
};
static_assert(sizeof(ActivationTile) == ActivationTile::kRows * sizeof(Chunk512));

// Quantised rows. Immutable once made; any number of threads may read it.
struct QuantizedActivations {
  const std::byte* data = nullptr;  // aligned to 64 bytes, as the instruction set wants them
  DType weights = DType::Int4;      // of the weights to multiply with: Int4 or Int8
  int64_t rows = 0, columns = 0;
};

// Bytes of quantised rows, a multiple of 64.
size_t quantized_bytes(Isa isa, int64_t rows, int64_t columns);

// Quantises rows [first, last) of the `rows` rows of x, row m at x + m * x_stride, to their places
// in `out`, which is aligned to 64 bytes and has room for all rows. A row's values and scales
// depend on that row alone, not on the instruction set; where they lie does, and on `rows`.
//
// A row's outliers (outliers.h) are zeros in that and stand apart, after all rows.
//
// A block's scale is max|x| / 127 and its values x * (127 / max|x|), rounded to nearest, ties to
// even, so that |x - q * scale| <= scale / 2 but for the rounding of the factors. When the scale
// would be below 2^-126, the least normal number, the block is zeros and so is the scale. When the
// block has a NaN or an infinity, the scale is NaN and with it all that is computed from the row.
void quantize(Isa isa, const float* x, int64_t x_stride, int64_t columns, DType weights,
              int64_t rows, int64_t first, int64_t last, std::byte* out);

}  // namespace diptych::kernels
