// The loops of linear_palette() and linear_palette_dequantized() that the vector variants share.
// Included by each variant's file, to be compiled for its instruction set; hence the unnamed
// namespace.
//
// A palette's weights are int8 with a scale per row (integer_tiles.h) that are looked up as they
// are taken apart. 4 bits are taken apart as int4 is, and a register of nibbles is looked up by one
// shuffle. Of more bits a chunk is looked up first, in the order of its columns, and what then lies
// in the first level of cache is taken apart as int8; or V looks up planes of indices.
//
// V describes, besides what integer_tiles.h and float_tiles.h need:
//   all(f)                      a register of floats
//   byte_table(__m128i)         a register that shuffle() looks up in
//   shuffle(table, plane)       the table's bytes for a plane of bytes below 16
// and, where there are shuffles of larger tables,
//   Table<bits>                 a table of 2^bits codes in registers
//   look_up(chunk, table)       the planes that dot() wants, of a chunk of indices
//   look_short_up(chunk, table) those that dot_short() wants
#pragma once

#include "kernels/float_tiles.h"
#include "kernels/integer_tiles.h"
#include "kernels/palette.h"
#include "kernels/palette_avx2.h"

namespace diptych::kernels {
namespace {

// The rows that integer_tiles.h sees: int8 with a scale of fp32 each.
inline LinearWeight as_int8(const PaletteWeight& weight) {
  return {nullptr,
          DType::Int8,
          weight.rows,
          weight.columns,
          reinterpret_cast<const std::byte*>(weight.scales),
          DType::F32,
          weight.columns};
}

// What such weights have in common in one call. Activations for int4 have offsets for weights that
// are raised by 8; what is looked up is raised by 128.
template <class Chunk, int bits>
LinearCall<Chunk> palette_call(const LinearWeight& weight, const PaletteTask& task) {
  auto call = call_of<Chunk, DType::Int8>(weight, task);
  if constexpr (bits == 4) call.offset_factor = 16;
  return call;
}

// The table for nibbles as take_apart() gives them, with their top bit turned, and raised to be
// unsigned where dot() wants that.
template <class V>
typename V::Ints nibble_table(const int8_t* codes) {
  constexpr int kHalvesExchanged = 0x4E;
  __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(codes));
  table = _mm_shuffle_epi32(table, kHalvesExchanged);
  if constexpr (V::template kRaised<DType::Int8>) {
    table = _mm_xor_si128(table, _mm_set1_epi8(static_cast<char>(0x80)));
  }
  return V::byte_table(table);
}

template <class V, int bits>
concept LooksUpPlanes = requires {
  typename V::template Table<bits>;
};

// What a row's indices are looked up in: a register for nibbles, V's registers where it looks up
// planes, else memory.
template <class V, int bits>
struct TableOf {
  using Type = const int8_t*;
};
template <class V>
struct TableOf<V, 4> {
  using Type = typename V::Ints;
};
template <class V, int bits>
requires LooksUpPlanes<V, bits>
struct TableOf<V, bits> {
  using Type = typename V::template Table<bits>;
};

// R rows of the weight from `row` on. Those from `last` on are copies of the first.
template <class V, int bits, int R>
class PaletteRows {
 public:
  static constexpr int64_t kColumns = V::Chunk::kColumns;
  static constexpr int64_t kBytes = bytes_of_indices(bits, kColumns);
  static constexpr int64_t kReadBytes = kBytes + (bits == 6 ? kSpareIndexBytes : 0);
  static constexpr bool kLooksUpBytes = bits != 4 && !LooksUpPlanes<V, bits>;
  // What bytes() are.
  static constexpr DType kStored = bits == 4 ? DType::Int4 : DType::Int8;
  static constexpr bool kLooksUpNibbles = bits == 4;
  struct Spare {
    std::byte indices[R][kReadBytes];
    alignas(64) std::byte weights[R][kLooksUpBytes ? kColumns : 1];
  };

  PaletteRows(const PaletteWeight& weight, int64_t row, int64_t last, bool fetch_ahead)
      : fetch_ahead_(fetch_ahead) {
    const int64_t row_bytes = bytes_of_indices(bits, weight.columns);
    end_ = weight.data + weight.rows * row_bytes;
    for (int r = 0; r < R; ++r) {
      const int64_t index = row + r < last ? row + r : row;
      data_[r] = weight.data + index * row_bytes;
      const int8_t* const codes = codes_of(weight, index);
      if constexpr (bits == 4) {
        tables_[r] = nibble_table<V>(codes);
      } else if constexpr (kLooksUpBytes) {
        tables_[r] = codes;
      } else {
        tables_[r] = V::template Table<bits>::of(codes);
      }
    }
  }

  // To a chunk of all rows.
  void move_to(int64_t chunk, Spare& spare) {
    for (int r = 0; r < R; ++r) {
      const std::byte* const from = data_[r] + chunk * kBytes;
      chunk_[r] = readable(from, end_, spare.indices[r]);
      if (fetch_ahead_) fetch_row_ahead<kBytes>(from);
      if constexpr (kLooksUpBytes) {
        look_up_bytes<bits, kColumns>(chunk_[r], tables_[r], spare.weights[r]);
        chunk_[r] = spare.weights[r];
      }
    }
  }

  // What was looked up where that is in memory, else indices.
  const std::byte* bytes(int r) const { return chunk_[r]; }

  typename V::template Planes<DType::Int8> planes(int r, int step) const {
    if constexpr (kLooksUpBytes) {
      return V::template take_apart<DType::Int8>(chunk_[r], step);
    } else if constexpr (bits != 4) {
      return V::look_up(chunk_[r], tables_[r]);
    } else {
      const auto nibbles = V::template take_apart<DType::Int4>(chunk_[r], step);
      typename V::template Planes<DType::Int8> planes;
      DIPTYCH_UNROLL for (int i = 0; i < V::Chunk::kPlanes; ++i) {
        planes.plane[i] = look_up(r, nibbles.plane[i]);
      }
      return planes;
    }
  }
  // Of nibbles that were raised.
  typename V::Ints look_up(int r, typename V::Ints nibbles) const {
    return V::shuffle(tables_[r], nibbles);
  }
  typename V::template ShortPlanes<DType::Int8> short_planes(int r, int step) const {
    if constexpr (kLooksUpBytes) {
      return V::template take_short_apart<DType::Int8>(chunk_[r], step);
    } else if constexpr (bits != 4) {
      return V::look_short_up(chunk_[r], tables_[r]);
    } else {
      const auto nibbles = V::template take_short_apart<DType::Int4>(chunk_[r], step);
      typename V::template ShortPlanes<DType::Int8> planes;
      DIPTYCH_UNROLL for (int i = 0; i < ShortChunk::kPlanes; ++i) {
        planes.plane[i] = look_up(r, nibbles.plane[i]);
      }
      return planes;
    }
  }
  typename V::Floats scales(int /*r*/, int /*step*/) const { return V::zero(); }

 private:
  bool fetch_ahead_;
  const std::byte *end_, *data_[R], *chunk_[R];
  typename TableOf<V, bits>::Type tables_[R];
};

// Where the weights of tiles come from.
template <class V, int bits>
struct FromPalette {
  static constexpr bool kStreamed = true;
  const PaletteWeight& weight;

  template <DType type, Scales kScales, int R>
  PaletteRows<V, bits, R> rows(const LinearCall<typename V::Chunk>& call, int64_t row) const {
    return {weight, row, call.last, call.fetch_ahead};
  }
};

template <class V, int bits>
void take_palette_apart(const LinearCall<typename V::Chunk>& call, const PaletteWeight& weight,
                        int64_t first, Panel<V>& panel) {
  using Row = PaletteRows<V, bits, 1>;
  panel.template take_planes<Row>(
      call, first, call.last - first,
      [&](int64_t row) { return Row(weight, row, call.last, call.fetch_ahead); },
      [](const Row& /*row*/, int /*step*/) {});
}

// One row of x after another, from where the weights lie.
template <class V, int bits>
void multiply_rows(const LinearCall<typename V::Chunk>& call, const PaletteWeight& weight,
                   int64_t m_rows, int64_t first) {
  using Weights = FromPalette<V, bits>;
  for (int64_t m = 0; m < m_rows; ++m) {
    tiles_of_rows<V, DType::Int8, Scales::PerRow, Weights, 1>(call, Weights{weight}, first,
                                                              call.last, m, 1);
  }
}

template <class V, int bits>
void linear_palette_of(const PaletteTask& task) {
  const auto& [weight, x, first, last, y, fetch_ahead] = task;
  const LinearWeight int8 = as_int8(weight);
  const auto call = palette_call<typename V::Chunk, bits>(int8, task);
  const bool many = x.rows > 1;
  if constexpr (V::kLanesAreRows) {
    if (many && Strip<V>::fits(call)) {
      return strips<V, DType::Int8, Scales::PerRow, palette_activations(bits)>(
          call, FromPalette<V, bits>{weight}, first, x.rows);
    }
  } else {
    const int64_t panel_rows = Panel<V>::kChunks / call.chunks / kLeastPanelRows * kLeastPanelRows;
    if (many && panel_rows > 0) {
      const auto take_apart = [&](const auto& of_panel, int64_t row, Panel<V>& panel) {
        take_palette_apart<V, bits>(of_panel, weight, row, panel);
      };
      return panels<V, DType::Int8, Scales::PerRow>(call, first, x.rows, panel_rows, take_apart);
    }
  }
  multiply_rows<V, bits>(call, weight, x.rows, first);
}

template <class V>
void linear_palette(const PaletteTask& task) {
  const auto run = task.weight.bits == 4   ? linear_palette_of<V, 4>
                   : task.weight.bits == 6 ? linear_palette_of<V, 6>
                                           : linear_palette_of<V, 8>;
  run(task);
}

// Entries that are looked up a panel at a time.
template <int bits>
class PaletteEntries {
 public:
  static constexpr DType kType = DType::F32;

  explicit PaletteEntries(const PaletteWeight& weight) : weight_(weight) {}
  PartRows panel(int64_t first, int64_t last, const Part& part) {
    for (int64_t row = first; row < last; ++row) {
      const float* const table = weight_.entries + (row / weight_.rows_per_table << bits);
      look_up_floats<bits>(at(row, part.first), table, part.last - part.first,
                           reinterpret_cast<float*>(memory_.rows[row - first]));
    }
    return {memory_.rows[0], memory_.kRowBytes, first};
  }
  ByteRange bytes_of(int64_t first, int64_t last) const {
    return {at(first, 0), at(least(last, weight_.rows), 0)};
  }

 private:
  const std::byte* at(int64_t row, int64_t column) const {
    return weight_.data + bytes_of_indices(bits, row * weight_.columns + column);
  }

  const PaletteWeight& weight_;
  using Memory = PanelMemory<kType, kFloatRowsAtOnce>;
  Memory& memory_ = kernel_object<Memory>(KernelMemory::Panel);
};

template <class V>
void linear_palette_dequantized(const PaletteWeight& weight, const FloatInput& x, int64_t first,
                                int64_t last, const Output& y) {
  const FloatCall<V> call{weight.columns, x, last, y};
  switch (weight.bits) {
    case 4:
      return float_panels(call, PaletteEntries<4>(weight), first);
    case 6:
      return float_panels(call, PaletteEntries<6>(weight), first);
    default:
      return float_panels(call, PaletteEntries<8>(weight), first);
  }
}

}  // namespace
}  // namespace diptych::kernels
