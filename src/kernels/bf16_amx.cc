// Arithmetic in bf16 by matrix instructions (AMX). Names as in Intel's manuals: tdpbf16ps adds to a
// tile of 16 × 16 sums the products of 16 rows of a weight with 16 rows of x, over 32 columns. One
// row of x goes through the same instructions, so that it comes to the same bits in any company;
// they are not those of AVX-512, which adds products in another order.
//
// Rows of x stand in groups of 16, the last of which may be smaller. Of every 32 columns a group
// has 16 pairs, each of all rows of x: the matrix that the instruction wants.
#if defined(__x86_64__)

#include "kernels/avx512_bf16.h"
#include "kernels/tile_sums.h"

namespace diptych::kernels {
namespace {

constexpr int64_t kGroup = 16;     // rows of x
constexpr int64_t kTileRows = 16;  // of the weight
constexpr int64_t kMostTiles = 4;  // of a panel
constexpr int64_t kPanelRows = kMostTiles * kTileRows;
constexpr int64_t kStep = Avx512Bf16::kFactors;  // columns of a tile
constexpr int64_t kPairs = kStep / 2;
constexpr int64_t kPairBytes = 4;

// The rows of x from a multiple of kGroup on.
struct Group {
  int64_t begin;  // in bytes
  int64_t rows;

  Group(int64_t first_row, int64_t x_rows, int64_t columns)
      : begin(first_row * bf16_row_bytes(columns)), rows(least(kGroup, x_rows - first_row)) {}

  int64_t pair_stride() const { return rows * kPairBytes; }
  // Where the matrix of columns from a multiple of kStep on begins, in bytes.
  int64_t at(int64_t column) const { return begin + column / kStep * kPairs * pair_stride(); }
};

void round_rows(const Bf16Call& call, std::byte* out) {
  for (int64_t m = call.first; m < call.last; ++m) {
    const int64_t in_group = m % kGroup;
    const Group group(m - in_group, call.rows, call.columns);
    const float* const row = call.x + m * call.x_stride;
    for (int64_t column = 0; column < call.columns; column += kStep) {
      uint32_t pairs[kPairs];
      convert_row<Avx512Bf16, DType::F32>(reinterpret_cast<const std::byte*>(row + column),
                                          least(kStep, call.columns - column),
                                          reinterpret_cast<std::byte*>(pairs));
      std::byte* to = out + group.at(column) + in_group * kPairBytes;
      for (int64_t i = 0; i < kPairs; ++i, to += group.pair_stride()) {
        __builtin_memcpy(to, &pairs[i], kPairBytes);
      }
    }
  }
}

// A part of up to kPanelRows rows of the weight in bf16; rows that its last tile lacks are zeros.
struct Bf16Panel : PanelMemory<DType::BF16, kPanelRows> {
  int64_t tiles;

  template <DType type>
  void convert(const FloatWeight& weight, int64_t first, int64_t last, const Part& part) {
    const FloatRows<type> stored(weight);
    const int64_t count = last - first;
    tiles = quotient_rounded_up(count, kTileRows);
    for (int64_t r = 0; r < count; ++r) {
      convert_row<Avx512Bf16, type>(stored.at(first + r, part.first), part.last - part.first,
                                    rows[r]);
    }
    for (int64_t r = count; r < tiles * kTileRows; ++r) __builtin_memset(rows[r], 0, kRowBytes);
    // The compiler does not know that tiles are loaded from memory.
    __asm__ volatile("" : : "r"(rows) : "memory");
  }
};

// The tile registers: 0 to 3 for sums, 4 and 5 for weights, 6 for a group of so many rows of x.
void configure_tiles(int64_t x_rows) {
  struct alignas(64) Configuration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  };
  static_assert(sizeof(Configuration) == 64);
  Configuration configuration;
  for (int i = 0; i < 7; ++i) {
    const bool is_weight = i == 4 || i == 5;
    configuration.row_bytes[i] = static_cast<uint16_t>(is_weight ? 2 * kStep : 4 * x_rows);
    configuration.rows[i] = i == 6 ? kPairs : kTileRows;
  }
  // GCC 12 believes that only the first 8 bytes are loaded.
  __asm__ volatile("" : : "r"(&configuration) : "memory");
  _tile_loadconfig(&configuration);
}

using PanelSums = float[kMostTiles][kTileRows][kGroup];  // as tiles are stored

// Adds a panel's products with a group to their sums, or writes them when the part is the first.
// (The registers' numbers become part of the instructions, so they must be literals.)
template <int R>
void multiply_tiles(const Bf16Panel& panel, const std::byte* x, const Group& group,
                    const Part& part, PanelSums& sums) {
  constexpr int64_t kSumStride = kGroup * 4;
  const auto weights = [&](int64_t tile, int64_t column) {
    return panel.rows[tile * kTileRows] + 2 * column;
  };
  if (part.first == 0) {
    _tile_zero(0);
    if constexpr (R > 1) _tile_zero(1);
    if constexpr (R > 2) _tile_zero(2);
    if constexpr (R > 3) _tile_zero(3);
  } else {
    _tile_loadd(0, sums[0], kSumStride);
    if constexpr (R > 1) _tile_loadd(1, sums[1], kSumStride);
    if constexpr (R > 2) _tile_loadd(2, sums[2], kSumStride);
    if constexpr (R > 3) _tile_loadd(3, sums[3], kSumStride);
  }
  for (int64_t column = 0; column < part.last - part.first; column += kStep) {
    _tile_loadd(6, x + group.at(part.first + column), group.pair_stride());
    _tile_loadd(4, weights(0, column), Bf16Panel::kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (R > 1) {
      _tile_loadd(5, weights(1, column), Bf16Panel::kRowBytes);
      _tile_dpbf16ps(1, 5, 6);
    }
    if constexpr (R > 2) {
      _tile_loadd(4, weights(2, column), Bf16Panel::kRowBytes);
      _tile_dpbf16ps(2, 4, 6);
    }
    if constexpr (R > 3) {
      _tile_loadd(5, weights(3, column), Bf16Panel::kRowBytes);
      _tile_dpbf16ps(3, 5, 6);
    }
  }
  _tile_stored(0, sums[0], kSumStride);
  if constexpr (R > 1) _tile_stored(1, sums[1], kSumStride);
  if constexpr (R > 2) _tile_stored(2, sums[2], kSumStride);
  if constexpr (R > 3) _tile_stored(3, sums[3], kSumStride);
}

void multiply_group(const Bf16Panel& panel, const std::byte* x, const Group& group,
                    const Part& part, PanelSums& sums) {
  const auto run = panel.tiles == 1   ? multiply_tiles<1>
                   : panel.tiles == 2 ? multiply_tiles<2>
                   : panel.tiles == 3 ? multiply_tiles<3>
                                      : multiply_tiles<4>;
  run(panel, x, group, part, sums);
}

// Writes the results of rows [row, last) of the weight, kPanelRows at most.
void store_results(const PanelSums& all_sums, int64_t row, int64_t last, const Group& group,
                   float* y, int64_t stride) {
  for (const auto& of_tile : all_sums) {
    if (row >= last) return;
    TileSums sums;
    for (int64_t r = 0; r < kTileRows; ++r) sums.of_row[r] = Avx512::load_f32(of_tile[r]);
    store_turned(sums, static_cast<int>(least(kTileRows, last - row)), static_cast<int>(group.rows),
                 y + row, stride);
    row += kTileRows;
  }
}

template <DType type>
void multiply(const FloatWeight& weight, const Bf16Activations& x, int64_t first, int64_t last,
              const Output& y) {
  auto& panel = kernel_object<Bf16Panel>(KernelMemory::Panel);
  using Sums = PanelSums[kSlabRows / kGroup];
  Sums& sums = kernel_object<Sums>(KernelMemory::Sums);
  int64_t configured = 0;  // for groups of so many rows
  for (int64_t slab = 0; slab < x.rows; slab += kSlabRows) {
    for (int64_t row = first; row < last; row += kPanelRows) {
      const int64_t end = least(row + kPanelRows, last);
      for (Part part{0, 0, nullptr}; part.last < weight.columns; part.first = part.last) {
        part.last = least(part.first + kPartColumns<DType::BF16>, weight.columns);
        panel.convert<type>(weight, row, end, part);
        for (int64_t m = slab; m < least(slab + kSlabRows, x.rows); m += kGroup) {
          const Group group(m, x.rows, x.columns);
          if (group.rows != configured) configure_tiles(configured = group.rows);
          PanelSums& of_group = sums[(m - slab) / kGroup];
          multiply_group(panel, x.data, group, part, of_group);
          if (part.last == weight.columns) {
            store_results(of_group, row, end, group, y.data + m * y.stride, y.stride);
          }
        }
      }
    }
  }
  _tile_release();
}

void linear_bf16(const FloatWeight& weight, const Bf16Activations& x, int64_t first, int64_t last,
                 const Output& y) {
  const auto run = weight.dtype == DType::F16 ? multiply<DType::F16> : multiply<DType::BF16>;
  run(weight, x, first, last, y);
}

}  // namespace

const Bf16Kernels kAmxInBf16 = {round_rows, linear_bf16};

}  // namespace diptych::kernels

#endif
