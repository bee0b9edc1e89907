// Matrix instructions (AMX) for 16 rows of x or more; what AVX-512 does for fewer rows, for floats
// and for very long rows. Results have the bits of AVX-512's: a block's products are one sum of
// integers in both, and the floats are added in the same order.
//
// Names as in Intel's manuals: a tile register holds up to 16 rows of 64 bytes; tdpbusd adds to a
// tile of 16 × 16 sums the products of unsigned bytes, 16 rows of a weight, with signed ones, 16
// rows of x, here over one block of columns.
#if defined(__x86_64__)

#include "kernels/quantize_avx2.h"
#include "kernels/tile_sums.h"

namespace diptych::kernels {

namespace {

constexpr int kRows = ActivationTile::kRows;  // of the weight, and of x, that are computed together
constexpr int kMaxChunks = ActivationTile::kMaxColumns / Chunk512::kColumns;

// Rows of a weight as bytes, raised to be unsigned but where halves of blocks have scales, lane by
// lane, each a matrix per chunk; and the scales of their blocks.
struct WeightPanel {
  alignas(64) uint8_t weights[kLanes * kMaxChunks][kRows][kBlock];
  alignas(64) float scales[kRows][kMaxChunks][kLanes], shifts[kRows][kMaxChunks][kLanes];
};

// The tile registers: 0 and 1 for sums, 2 and 3 for weights, 4 and 5 for values of x, so that two
// blocks, or halves of blocks, of `columns` are under way at a time.
template <int64_t columns>
void configure_tiles() {
  struct alignas(64) Configuration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, columns, columns, 64, 64};
    uint8_t rows[16] = {kRows, kRows, kRows, kRows, columns / 4, columns / 4};
  };
  static_assert(sizeof(Configuration) == 64);
  // A constant in memory: GCC 12 believes that only the first 8 bytes are loaded, and might leave
  // out what it would have to store behind them.
  static constexpr Configuration configuration;
  _tile_loadconfig(&configuration);
}

// The products of a block of weights with one of values. The registers' numbers become part of the
// instructions, so they must be literals.
#define DIPTYCH_MULTIPLY(dot, sums, weights, values, weights_at, values_at, products) \
  do {                                                                                \
    _tile_zero(sums);                                                                 \
    _tile_loadd(weights, weights_at, kBlock);                                         \
    _tile_loadd(values, values_at, 64);                                               \
    dot(sums, weights, values);                                                       \
    _tile_stored(sums, products, 64);                                                 \
  } while (false)

// What the products of a panel with a tile's rows of x have in common.
struct TileCall {
  const LinearCall<Chunk512>& of;
  const WeightPanel& panel;
  const ActivationTile* x;  // one for each chunk
};

constexpr int64_t first_column(int64_t chunk, int lane) {
  // The block whose lane it is: the inverse of Chunk512::first_lane().
  const int block = lane % 4 * 4 + lane / 4;
  return chunk * Chunk512::kColumns + block * kBlock;
}

// Adds the products of a block to the sums.
template <Scales kScales>
void add_block(const TileCall& call, int lane, int64_t chunk,
               const int32_t (&products)[kRows][kRows], TileSums& sums) {
  const __m512 x_scales = _mm512_loadu_ps(call.x[chunk].scales[lane]);
  const __m512 offsets = _mm512_loadu_ps(call.x[chunk].offsets[lane]);
  DIPTYCH_UNROLL for (int r = 0; r < kRows; ++r) {
    const __m512 floats = _mm512_cvtepi32_ps(_mm512_loadu_si512(products[r]));
    __m512& sum = sums.of_row[r];
    if constexpr (kScales == Scales::PerRow) {
      sum = _mm512_fmadd_ps(floats, x_scales, sum);
    } else {
      __m512 shifted = offsets;
      if constexpr (is_shifted(kScales)) {
        shifted = _mm512_mul_ps(offsets, _mm512_set1_ps(call.panel.shifts[r][chunk][lane]));
      }
      const __m512 scaled = _mm512_fmadd_ps(floats, x_scales, shifted);
      sum = _mm512_fmadd_ps(scaled, _mm512_set1_ps(call.panel.scales[r][chunk][lane]), sum);
    }
  }
}

// The same for a block whose halves have scales.
void add_halves(const TileCall& call, int lane, int64_t chunk,
                const int32_t (&products)[2][kRows][kRows], TileSums& sums) {
  const __m512 x_scales = _mm512_loadu_ps(call.x[chunk].scales[lane]);
  DIPTYCH_UNROLL for (int r = 0; r < kRows; ++r) {
    const __m512 first = _mm512_cvtepi32_ps(_mm512_loadu_si512(products[0][r]));
    const __m512 second = _mm512_cvtepi32_ps(_mm512_loadu_si512(products[1][r]));
    const __m512 both =
        _mm512_fmadd_ps(first, _mm512_set1_ps(call.panel.scales[r][chunk][lane]),
                        _mm512_mul_ps(second, _mm512_set1_ps(call.panel.shifts[r][chunk][lane])));
    sums.of_row[r] = _mm512_fmadd_ps(both, x_scales, sums.of_row[r]);
  }
}

// The sums of one lane over all chunks.
template <Scales kScales>
TileSums lane_sums(const TileCall& call, int lane) {
  // A row's first chunks may be all that have a block there.
  int64_t chunks = call.of.chunks;
  while (chunks > 0 && first_column(chunks - 1, lane) >= call.of.weight.columns) --chunks;

  __m512 begin = _mm512_setzero_ps();
  if constexpr (kScales == Scales::PerRow) {
    for (int64_t c = 0; c < chunks; ++c) {
      begin = _mm512_add_ps(begin, _mm512_loadu_ps(call.x[c].offsets[lane]));
    }
    begin = _mm512_mul_ps(begin, _mm512_set1_ps(call.of.offset_factor));
  }
  TileSums sums;
  for (__m512& sum : sums.of_row) sum = begin;

  const auto* const weights = call.panel.weights + lane * call.of.chunks;
  alignas(64) int32_t products[2][kRows][kRows];
  if constexpr (kScales == Scales::PerHalf) {
    for (int64_t c = 0; c < chunks; ++c) {
      const auto& values = call.x[c].values[lane];
      DIPTYCH_MULTIPLY(_tile_dpbssd, 0, 2, 4, weights[c], values, products[0]);
      DIPTYCH_MULTIPLY(_tile_dpbssd, 1, 3, 5, weights[c][0] + kHalfBlock,
                       values[Chunk512::kPlanes / 2], products[1]);
      add_halves(call, lane, c, products, sums);
    }
    return sums;
  }
  for (int64_t c = 0; c < chunks; c += 2) {
    const bool two = c + 1 < chunks;
    DIPTYCH_MULTIPLY(_tile_dpbusd, 0, 2, 4, weights[c], call.x[c].values[lane], products[0]);
    if (two) {
      DIPTYCH_MULTIPLY(_tile_dpbusd, 1, 3, 5, weights[c + 1], call.x[c + 1].values[lane],
                       products[1]);
    }
    add_block<kScales>(call, lane, c, products[0], sums);
    if (two) add_block<kScales>(call, lane, c + 1, products[1], sums);
  }
  return sums;
}

// The sums of lanes `lane`, `lane` + step and so on, added as Avx512::sum() does.
template <Scales kScales, int step = 1>
TileSums sums_of_lanes(const TileCall& call, int lane) {
  if constexpr (step == kLanes) {
    return lane_sums<kScales>(call, lane);
  } else {
    TileSums sums = sums_of_lanes<kScales, 2 * step>(call, lane);
    const TileSums others = sums_of_lanes<kScales, 2 * step>(call, lane + step);
    DIPTYCH_UNROLL for (int r = 0; r < kRows; ++r) {
      sums.of_row[r] = _mm512_add_ps(sums.of_row[r], others.of_row[r]);
    }
    return sums;
  }
}

struct AsTheyAre {
  const __m512i& operator()(const __m512i& nibbles) const { return nibbles; }
};

// Raised weights as they were.
template <DType type>
struct Lowered {
  __m512i operator()(const __m512i& raised) const {
    return _mm512_sub_epi8(raised,
                           _mm512_set1_epi8(static_cast<char>(type == DType::Int4 ? 8 : 128)));
  }
};

// The blocks of a chunk of weights, each in the order of planes, to row r of the panel. The raised
// weights become what `look_up` makes of them.
template <DType type, class LookUp = AsTheyAre>
void unpack_chunk(const std::byte* from, WeightPanel& panel, int64_t chunks, int64_t chunk, int r,
                  const LookUp& look_up = {}) {
  const auto put = [&](int64_t lane, const __m512i& blocks) {
    const auto to = [&](int64_t of_lane) {
      return reinterpret_cast<__m256i*>(panel.weights[of_lane * chunks + chunk][r]);
    };
    _mm256_store_si256(to(lane), _mm512_castsi512_si256(blocks));
    _mm256_store_si256(to(lane + 4), _mm512_extracti64x4_epi64(blocks, 1));
  };
  for (int64_t i = 0; i < 4; ++i) {  // blocks 4i to 4i + 3, in lanes i, 4 + i, 8 + i and 12 + i
    if constexpr (type == DType::Int4) {
      const __m512i raise = _mm512_set1_epi8(static_cast<char>(0x88));
      const __m512i low = _mm512_set1_epi8(0x0F);
      const __m512i raised = _mm512_xor_si512(_mm512_loadu_si512(from + 64 * i), raise);
      const __m512i even = look_up(_mm512_and_si512(raised, low));
      const __m512i odd = look_up(_mm512_and_si512(_mm512_srli_epi16(raised, 4), low));
      const __m512i first = _mm512_unpacklo_epi32(even, odd);
      const __m512i second = _mm512_unpackhi_epi32(even, odd);
      const __m512i low_blocks = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
      const __m512i high_blocks = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
      put(i, _mm512_permutex2var_epi64(first, low_blocks, second));
      put(8 + i, _mm512_permutex2var_epi64(first, high_blocks, second));
    } else {
      const __m512i raise = _mm512_set1_epi8(static_cast<char>(0x80));
      const auto load = [&](int64_t half) {
        return look_up(_mm512_xor_si512(_mm512_loadu_si512(from + 128 * i + 64 * half), raise));
      };
      put(i, load(0));
      put(8 + i, load(1));
    }
  }
}

// Rows [row, row + kRows) of the weight; those from `call.last` on are copies of the first.
template <DType type, Scales kScales>
void unpack_rows(const LinearCall<Chunk512>& call, int64_t row, WeightPanel& panel) {
  using Rows = StoredRows<Avx512, type, kScales, 1>;
  const ScaleIndices<Avx512> indices(call.weight);
  for (int r = 0; r < kRows; ++r) {
    Rows stored(call, indices, row + r < call.last ? row + r : row);
    for (int64_t c = 0; c < call.chunks; ++c) {
      typename Rows::Spare spare;
      stored.move_to(c, spare);
      if constexpr (kScales == Scales::PerHalf) {
        unpack_chunk<type>(stored.bytes(0), panel, call.chunks, c, r, Lowered<type>());
      } else {
        unpack_chunk<type>(stored.bytes(0), panel, call.chunks, c, r);
      }
      if constexpr (kScales != Scales::PerRow) {
        Avx512::store_f32(stored.scales(0, 0), panel.scales[r][c]);
      }
      if constexpr (has_shifts(kScales)) {
        Avx512::store_f32(stored.shifts(0, 0), panel.shifts[r][c]);
      }
    }
  }
}

// The same for a palette.
template <int bits>
void unpack_palette_rows(const LinearCall<Chunk512>& call, const PaletteWeight& weight, int64_t row,
                         WeightPanel& panel) {
  using Rows = PaletteRows<Avx512, bits, 1>;
  for (int r = 0; r < kRows; ++r) {
    const int64_t index = row + r < call.last ? row + r : row;
    Rows stored(weight, index, call.last, call.fetch_ahead);
    const __m512i table = nibble_table<Avx512>(codes_of(weight, index));  // of 4 bits
    const auto look_up = [&](const __m512i& nibbles) { return Avx512::shuffle(table, nibbles); };
    for (int64_t c = 0; c < call.chunks; ++c) {
      typename Rows::Spare spare;
      stored.move_to(c, spare);
      if constexpr (bits == 4) {
        unpack_chunk<DType::Int4>(stored.bytes(0), panel, call.chunks, c, r, look_up);
      } else {
        unpack_chunk<DType::Int8>(stored.bytes(0), panel, call.chunks, c, r);
      }
    }
  }
}

// Writes the results of rows [row, call.last) of the weight and rows [m, m_last) of x.
template <Scales kScales>
void store_results(const LinearCall<Chunk512>& call, TileSums sums, int64_t row, int64_t m,
                   int64_t m_last) {
  const auto rows = static_cast<int>(least(kRows, call.last - row));
  const auto m_rows = static_cast<int>(least(kRows, m_last - m));
  if constexpr (kScales == Scales::PerRow) {
    for (int r = 0; r < rows; ++r) {
      const std::byte* const from = call.weight.scales + (row + r) * call.scale_bytes;
      const float scale = Avx512::scalar(from, call.weight.scale_dtype);
      sums.of_row[r] = _mm512_mul_ps(sums.of_row[r], _mm512_set1_ps(scale));
    }
  }
  store_turned(sums, rows, m_rows, call.y.data + m * call.y.stride + row, call.y.stride);
}

// unpack(row, panel) brings a panel's rows from `row` on.
template <Scales kScales, class Unpack>
void multiply_panels(const LinearCall<Chunk512>& call, const QuantizedActivations& x, int64_t first,
                     const Unpack& unpack) {
  const auto* const tiles = reinterpret_cast<const ActivationTile*>(x.data);
  auto& panel = kernel_object<WeightPanel>(KernelMemory::Panel);
  configure_tiles<kScales == Scales::PerHalf ? kHalfBlock : kBlock>();
  for (int64_t row = first; row < call.last; row += kRows) {
    unpack(row, panel);
    // The compiler does not know that tiles are loaded from memory.
    __asm__ volatile("" : : "r"(&panel) : "memory");
    for (int64_t m = 0; m < x.rows; m += kRows) {
      const TileCall with_rows{call, panel, tiles + m / kRows * call.chunks};
      store_results<kScales>(call, sums_of_lanes<kScales>(with_rows, 0), row, m, x.rows);
    }
  }
  _tile_release();
}

template <DType type, Scales kScales>
void linear_by_tiles(const LinearTask& task) {
  const auto call = call_of<Chunk512, type>(task.weight, task);
  multiply_panels<kScales>(call, task.x, task.first, [&](int64_t row, WeightPanel& panel) {
    unpack_rows<type, kScales>(call, row, panel);
  });
}

template <int bits>
void palette_by_tiles(const PaletteTask& task) {
  const LinearWeight int8 = as_int8(task.weight);
  const auto call = palette_call<Chunk512, bits>(int8, task);
  multiply_panels<Scales::PerRow>(call, task.x, task.first, [&](int64_t row, WeightPanel& panel) {
    unpack_palette_rows<bits>(call, task.weight, row, panel);
  });
}

template <DType type>
void linear_by_tiles(const LinearTask& task) {
  const LinearWeight& weight = task.weight;
  const auto run = weight.offsets != nullptr        ? linear_by_tiles<type, Scales::GeneralShifted>
                   : weight.block == weight.columns ? linear_by_tiles<type, Scales::PerRow>
                   : weight.block == kHalfBlock     ? linear_by_tiles<type, Scales::PerHalf>
                                                    : linear_by_tiles<type, Scales::General>;
  run(task);
}

// Puts a row's chunk into its tile.
void place_in_tile(const Chunk512& chunk, int row, ActivationTile& tile) {
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    for (int64_t plane = 0; plane < Chunk512::kPlanes; ++plane) {
      __builtin_memcpy(tile.values[lane][plane][row], chunk.planes[plane] + 4 * lane, 4);
    }
    tile.scales[lane][row] = chunk.scales[lane];
    tile.offsets[lane][row] = chunk.offsets[lane];
  }
}

void quantize_tiles(const QuantizeCall& call, std::byte* out) {
  const int64_t chunks = quotient_rounded_up(call.columns, Chunk512::kColumns);
  auto* const tiles = reinterpret_cast<ActivationTile*>(out);
  for (int64_t c = 0; c < chunks; ++c) {
    const int64_t at = c * Chunk512::kColumns;
    const auto place = [&](int64_t m, const Chunk512& chunk) {
      place_in_tile(chunk, static_cast<int>(m % kRows), tiles[m / kRows * chunks + c]);
    };
    Chunk512 chunk;
    for (int64_t m = call.first; m < call.last; ++m) {
      quantize_chunk<Avx2Quantizer>(call.x + m * call.x_stride + at, call.columns - at,
                                    call.weights, chunk);
      place(m, chunk);
    }
    if (call.last != call.rows) continue;
    chunk = {};
    for (int64_t m = call.rows; m % kRows != 0; ++m) place(m, chunk);
  }
}

bool by_tiles(int64_t rows, int64_t columns) {
  return rows >= kRows && columns <= ActivationTile::kMaxColumns;
}

void quantize(const QuantizeCall& call, std::byte* out) {
  const auto run = by_tiles(call.rows, call.columns) ? quantize_tiles : kAvx512Variant.quantize;
  run(call, out);
}

void linear(const LinearTask& task) {
  const auto run = !by_tiles(task.x.rows, task.x.columns) ? kAvx512Variant.linear
                   : task.weight.dtype == DType::Int4     ? linear_by_tiles<DType::Int4>
                                                          : linear_by_tiles<DType::Int8>;
  run(task);
}

void linear_float(const FloatWeight& weight, const FloatInput& x, int64_t first, int64_t last,
                  const Output& y) {
  kAvx512Variant.linear_float(weight, x, first, last, y);
}

void linear_dequantized(const LinearWeight& weight, const FloatInput& x, int64_t first,
                        int64_t last, const Output& y) {
  kAvx512Variant.linear_dequantized(weight, x, first, last, y);
}

void linear_palette(const PaletteTask& task) {
  const auto run = !by_tiles(task.x.rows, task.x.columns) ? kAvx512Bf16Palettes.linear
                   : task.weight.bits == 4                ? palette_by_tiles<4>
                   : task.weight.bits == 6                ? palette_by_tiles<6>
                                                          : palette_by_tiles<8>;
  run(task);
}

void linear_palette_dequantized(const PaletteWeight& weight, const FloatInput& x, int64_t first,
                                int64_t last, const Output& y) {
  kAvx512Bf16Palettes.linear_dequantized(weight, x, first, last, y);
}

}  // namespace

const Variant kAmxVariant = {sizeof(Chunk512), Chunk512::kColumns, kRows, quantize, linear,
                             linear_float,     linear_dequantized};
const PaletteKernels kAmxPalettes = {8, linear_palette, linear_palette_dequantized};
const IsaKernels kAmxKernels = {&kAmxVariant, &kAmxPalettes, &kAmxInBf16, &kAmxDotLoops};

}  // namespace diptych::kernels

#endif
