// Compiled for AMX and run only where it is; nothing here may be defined elsewhere too.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

constexpr int kRows = 16;   // of both matrices
constexpr int kChains = 4;  // sums that do not wait for one another
// Bytes of a row of weights. Integers: a scale's, for the kernels must take each such sum out of
// its tile.
constexpr int kIntegerBytes = 32, kBf16Bytes = 64;

// Tiles 0 to 3 for sums, 4 and 5 for weights, 6 and 7 for activations.
template <int row_bytes>
struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, row_bytes, row_bytes, 64, 64};
  uint8_t rows[16] = {kRows, kRows, kRows, kRows, kRows, kRows, row_bytes / 4, row_bytes / 4};
};

template <int row_bytes>
int32_t run(int64_t rounds) {
  static constexpr Configuration<row_bytes> configuration;  // as in variant_amx.cc
  _tile_loadconfig(&configuration);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t round = 0; round < rounds; ++round) {
    if constexpr (row_bytes == kBf16Bytes) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    } else {
      _tile_dpbusd(0, 4, 6);
      _tile_dpbusd(1, 4, 7);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  }
  alignas(64) int32_t sums[kRows][kRows];
  _tile_stored(0, sums, 64);
  _tile_release();
  return sums[0][0];
}

}  // namespace

// As with AVX-512, weights of 4 bits are made bytes first.
const DotLoops kAmxDotLoops = {
    .int4 = {int64_t{kChains} * kRows * kRows * kIntegerBytes, run<kIntegerBytes>},
    .int8 = {int64_t{kChains} * kRows * kRows * kIntegerBytes, run<kIntegerBytes>},
    .bf16 = {int64_t{kChains} * kRows * kRows * kBf16Bytes / 2, run<kBf16Bytes>}};

}  // namespace diptych::kernels

#endif
