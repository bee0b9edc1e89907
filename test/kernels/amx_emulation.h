// Plain C++ stand-ins for the tile instructions that src/kernels/variant_amx.cc and bf16_amx.cc
// use, beside those for AVX-512, for machines that lack them: each does what Intel's Software
// Developer's Manual says of the instruction, and stops the program where that would raise an
// exception.
#pragma once

// NOLINTBEGIN: the names are those of the intrinsics, which are reserved; offsets are small.

#include <cstdlib>

#include "avx512_bf16_emulation.h"

namespace diptych::kernels {
namespace {

struct Tile {
  int rows = 0, row_bytes = 0;
  unsigned char bytes[16][64] = {};
};

struct Registers {
  bool configured = false;
  Tile tile[8];

  Tile& at(int index) {
    if (!configured || tile[index].rows == 0) std::abort();
    return tile[index];
  }
};
inline thread_local Registers registers;

inline void configure(const void* from) {
  unsigned char bytes[64];
  std::memcpy(bytes, from, 64);
  if (bytes[0] != 1) std::abort();
  registers = {};
  registers.configured = true;
  for (int i = 0; i < 8; ++i) {
    Tile& tile = registers.tile[i];
    tile.row_bytes = bytes[16 + 2 * i] | bytes[17 + 2 * i] << 8;
    tile.rows = bytes[48 + i];
    if (tile.rows > 16 || tile.row_bytes > 64) std::abort();
  }
}

inline void zero(int to) {
  for (auto& row : registers.at(to).bytes) std::memset(row, 0, sizeof row);
}

inline void load_tile(int to, const void* from, size_t stride) {
  zero(to);
  Tile& tile = registers.at(to);
  for (int r = 0; r < tile.rows; ++r) {
    std::memcpy(tile.bytes[r], static_cast<const char*>(from) + static_cast<size_t>(r) * stride,
                static_cast<size_t>(tile.row_bytes));
  }
}

inline void store_tile(int from, void* to, size_t stride) {
  const Tile& tile = registers.at(from);
  for (int r = 0; r < tile.rows; ++r) {
    std::memcpy(static_cast<char*>(to) + static_cast<size_t>(r) * stride, tile.bytes[r],
                static_cast<size_t>(tile.row_bytes));
  }
}

inline void release_tiles() { registers = {}; }

inline void check_shapes(const Tile& c, const Tile& a, const Tile& b) {
  if (c.rows != a.rows || a.row_bytes != 4 * b.rows || c.row_bytes != b.row_bytes) std::abort();
}

// sums += a * b, of bf16: of even columns and of odd ones apart.
inline void dot_bf16_tiles(int sums, int a, int b) {
  Tile& c = registers.at(sums);
  const Tile &left = registers.at(a), &right = registers.at(b);
  check_shapes(c, left, right);
  const auto at = [](const unsigned char* bytes) {
    uint16_t half;
    std::memcpy(&half, bytes, 2);
    return of_bf16(half);
  };
  for (int r = 0; r < c.rows; ++r) {
    for (int n = 0; n < c.row_bytes / 4; ++n) {
      float of_parity[2] = {};
      for (int i = 0; i < left.row_bytes / 2; ++i) {
        float& part = of_parity[i % 2];
        part = without_subnormals(std::fma(at(&left.bytes[r][2 * i]),
                                           at(&right.bytes[i / 2][4 * n + 2 * (i % 2)]), part));
      }
      float sum;
      std::memcpy(&sum, &c.bytes[r][4 * n], 4);
      sum = without_subnormals(without_subnormals(sum) +
                               without_subnormals(of_parity[0] + of_parity[1]));
      std::memcpy(&c.bytes[r][4 * n], &sum, 4);
    }
  }
}

// sums += a * b, of bytes that are Left with signed bytes, four at a time.
template <class Left>
void dot_tiles(int sums, int a, int b) {
  Tile& c = registers.at(sums);
  const Tile &left = registers.at(a), &right = registers.at(b);
  check_shapes(c, left, right);
  for (int r = 0; r < c.rows; ++r) {
    for (int n = 0; n < c.row_bytes / 4; ++n) {
      int32_t sum;
      std::memcpy(&sum, &c.bytes[r][4 * n], 4);
      for (int k = 0; k < left.row_bytes; ++k) {
        sum += static_cast<Left>(left.bytes[r][k]) *
               static_cast<int8_t>(right.bytes[k / 4][4 * n + k % 4]);
      }
      std::memcpy(&c.bytes[r][4 * n], &sum, 4);
    }
  }
}

}  // namespace
}  // namespace diptych::kernels

#undef _tile_loadconfig
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_dpbusd
#undef _tile_dpbssd
#undef _tile_zero
#undef _tile_release
#define _tile_loadconfig configure
#define _tile_loadd load_tile
#define _tile_stored store_tile
#define _tile_dpbf16ps dot_bf16_tiles
#define _tile_dpbusd dot_tiles<uint8_t>
#define _tile_dpbssd dot_tiles<int8_t>
#define _tile_zero zero
#define _tile_release release_tiles
// NOLINTEND
