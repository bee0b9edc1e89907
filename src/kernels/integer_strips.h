// Many rows of x with integer weights, where the lanes of a register are rows of the weight: a
// strip of these is turned once, and a value of x then meets all of them. No lanes are summed in
// the end, and rows of any length fill their registers. Included by integer_tiles.h alone, whose
// top says what V is; besides that, of V with kLanesAreRows:
//   turn()                lane i of register j becomes lane j of register i
//   nibbles()             of a register of int4, raised to be unsigned
//   as_ints()             the bits of floats, to be turned
//   dot_rows()            sums of integers: registers of rows of the weight, with some planes of a
//                         block of rows of x; where those are not all planes, of weights as they
//                         are
//   sum_of_registers()    in the order in which store_sums() sums the lanes of one
//
// What is a lane of a row's sums in integer_tiles.h is a register here, for as many rows, and goes
// through the same operations in the same order: the bits are the same.
#pragma once

#include "kernels/integer_sums.h"

namespace diptych::kernels {
namespace {

// Rows [first, first + rows) of a weight, turned. Lanes that lack a row have copies of another.
template <class V>
struct Strip {
  using Chunk = typename V::Chunk;
  static constexpr int kRegisters = 2, kRows = kRegisters * V::kLanes;
  static_assert(kIntegerRowsAtOnce % kRows == 0);
  static constexpr int64_t kPlaneBytes = 4 * kRows, kBlockBytes = Chunk::kPlanes * kPlaneBytes;

  int64_t first, rows;
  int64_t blocks;          // of a row, those that count
  std::byte* planes;       // [blocks][planes][kRows][4]
  float *scales, *shifts;  // [blocks][kRows] where blocks have them
  float* row_scales;       // [kRows] where rows have them

  // Rows of a quarter of a million columns are not worth the memory.
  static bool fits(const LinearCall<Chunk>& call) { return bytes(call) <= int64_t{4} << 20; }
  // Bytes of memory that a strip takes.
  static int64_t bytes(const LinearCall<Chunk>& call) {
    constexpr int64_t kFloatBytes = sizeof(float);
    return room(call) * (kBlockBytes + 2 * kRows * kFloatBytes) + kRows * kFloatBytes;
  }

  template <DType type, Scales kScales, class Weights>
  static Strip take_apart(const LinearCall<Chunk>& call, const Weights& weights, int64_t first,
                          int64_t rows, std::byte* memory) {
    auto* const scales = reinterpret_cast<float*>(memory + room(call) * kBlockBytes);
    const int64_t count = room(call) * kRows;
    const Strip strip{first,  rows,           blocks_of<kScales>(call), memory,
                      scales, scales + count, scales + 2 * count};
    for (int64_t lane = 0; lane < kRows; lane += V::kLanes) {
      const int64_t row = lane < rows ? first + lane : first;
      auto of_lanes = weights.template rows<type, kScales, V::kLanes>(call, row);
      strip.template turn_rows<type, kScales>(call, of_lanes, lane);
    }
    for (int64_t i = 0; i < kRows && kScales == Scales::PerRow; ++i) {
      const int64_t row = first + (i < rows ? i : 0);
      strip.row_scales[i] =
          V::scalar(call.weight.scales + row * call.scale_bytes, call.weight.scale_dtype);
    }
    return strip;
  }

 private:
  static constexpr int block_of_lane(int lane) {
    constexpr int kFours = Chunk::kBlocks / 4;
    static_assert(Chunk::kBlockLanes == 1);
    return lane % kFours * 4 + lane / kFours;
  }

  static int64_t room(const LinearCall<Chunk>& call) { return call.chunks * Chunk::kBlocks; }

  // A chunk's blocks that a row lacks meet zeros of x, but their scales may be no numbers.
  template <Scales kScales>
  static int64_t blocks_of(const LinearCall<Chunk>& call) {
    const int64_t columns = call.weight.columns;
    if (kScales == Scales::PerRow) return quotient_rounded_up(columns, kBlock);
    constexpr int64_t kStep = ShortChunk::kColumns / V::kSteps;
    const int64_t unit = call.ends_short ? kStep : Chunk::kColumns;
    return quotient_rounded_up(columns, unit) * unit / kBlock;
  }

  // Into the register of lanes from `lane` on.
  template <DType type, Scales kScales, class Rows>
  void turn_rows(const LinearCall<Chunk>& call, Rows& rows, int64_t lane) const {
    typename Rows::Spare spare;
    for (int64_t c = 0; c < call.chunks; ++c) {
      rows.move_to(c, spare);
      const int64_t first_block = c * Chunk::kBlocks;
      const auto store_scales = [&](float* all, int step, const auto& of_row) {
        Registers lanes;
        DIPTYCH_UNROLL for (int r = 0; r < V::kLanes; ++r) lanes[r] = V::as_ints(of_row(r));
        store_turned(lanes, [&](int i) {
          const int64_t block = first_block + block_of_lane(step * V::kLanes + i);
          return reinterpret_cast<std::byte*>(all + block * kRows + lane);
        });
      };
      for (int step = 0; step < V::kSteps; ++step) {
        if constexpr (kScales != Scales::PerRow) {
          store_scales(scales, step, [&](int r) { return rows.scales(r, step); });
        }
        if constexpr (has_shifts(kScales)) {
          store_scales(shifts, step, [&](int r) { return rows.shifts(r, step); });
        }
      }
      turn_bytes<Rows>(rows, least(Chunk::kBlocks, blocks - first_block),
                       planes + first_block * kBlockBytes + 4 * lane);
    }
  }

  // A chunk of some blocks, a register of each row at a time.
  template <class Rows>
  static void turn_bytes(const Rows& rows, int64_t some, std::byte* to) {
    constexpr int kBytes = sizeof(typename V::Ints),
                  kOfBlock = bytes_of_columns<Rows::kStored>(kBlock);
    constexpr int kAtOnce = kBytes / kOfBlock;  // blocks
    constexpr int kParts = kOfBlock / 4;        // of a block, each of four bytes
    for (int64_t block = 0; block < some; block += kAtOnce, to += kAtOnce * kBlockBytes) {
      Registers lanes;
      DIPTYCH_UNROLL for (int r = 0; r < V::kLanes; ++r) {
        lanes[r] = V::load_plane(rows.bytes(r) + block * kOfBlock);
      }
      const auto place = [&](int i, int planes_of_part, int plane) {
        return to + i / kParts * kBlockBytes + (i % kParts * planes_of_part + plane) * kPlaneBytes;
      };
      if constexpr (Rows::kStored == DType::Int8) {
        store_turned(lanes, [&](int i) { return place(i, 1, 0); });
      } else if constexpr (Rows::kLooksUpNibbles) {
        Registers high;
        DIPTYCH_UNROLL for (int r = 0; r < V::kLanes; ++r) {
          const auto nibbles = V::nibbles(lanes[r]);
          lanes[r] = rows.look_up(r, nibbles.low);
          high[r] = rows.look_up(r, nibbles.high);
        }
        store_turned(lanes, [&](int i) { return place(i, 2, 0); });
        store_turned(high, [&](int i) { return place(i, 2, 1); });
      } else {
        V::turn(lanes);
        DIPTYCH_UNROLL for (int i = 0; i < V::kLanes; ++i) {
          const auto nibbles = V::nibbles(lanes[i]);
          V::store_plane(nibbles.low, place(i, 2, 0));
          V::store_plane(nibbles.high, place(i, 2, 1));
        }
      }
    }
  }

  using Registers = typename V::Ints[V::kLanes];
  template <class Place>
  static void store_turned(Registers& rows, const Place& place) {
    V::turn(rows);
    DIPTYCH_UNROLL for (int i = 0; i < V::kLanes; ++i) V::store_plane(rows[i], place(i));
  }
};

// After a block's first four bytes in a chunk of x that was quantised for weights of a type, those
// that plane `plane` of its weights meets.
template <DType type, bool kShort>
constexpr int64_t place_in_x(int plane) {
  constexpr int64_t kPlaneBytes = sizeof(Chunk512::planes[0]);
  if (!kShort) return plane * kPlaneBytes;
  return type == DType::Int4 ? plane % 2 * kPlaneBytes + plane / 2 * 4
                             : plane / 4 * kPlaneBytes + plane % 4 * 4;
}

// Bytes of weights that are needed next, fetched into the second level of cache with every block of
// what is computed: memory is not waited for when they are turned.
struct StripFetch {
  const std::byte *at = nullptr, *end = nullptr;
  int64_t lines = 0;  // with a block

  // Of rows from `row` on, during some blocks.
  template <class Chunk>
  StripFetch(const LinearCall<Chunk>& call, int64_t row, int64_t rows, int64_t blocks) {
    if (call.weight.data == nullptr) return;  // a palette's
    at = call.weight.data + row * call.row_bytes;
    end = call.weight.data + least(row + rows, call.last) * call.row_bytes;
    lines = quotient_rounded_up(end - at, blocks * kCacheLine);
  }
  void some() {
    for (int64_t i = 0; i < lines && at < end; ++i, at += kCacheLine) __builtin_prefetch(at, 0, 2);
  }
};

// The products of a strip with M rows of x, which were quantised for x_type, from row m on.
template <class V, DType type, DType x_type, Scales kScales, int M>
class StripTile {
  using Floats = typename V::Floats;
  using Chunk = typename V::Chunk;
  static constexpr int R = Strip<V>::kRegisters;

 public:
  StripTile(const LinearCall<Chunk>& call, const Strip<V>& strip, int64_t m, StripFetch& next)
      : call_(call), strip_(strip), m_(m), next_(next) {
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      float of_lanes[V::kLanes];
      V::store_f32(first_sum<V, type, kScales>(call, m + i), of_lanes);
      DIPTYCH_UNROLL for (int lane = 0; lane < V::kLanes; ++lane) {
        for (Floats& sum : sums_[lane][i]) sum = V::all(of_lanes[lane]);
      }
    }
  }

  void run() {
    const Chunk* x[M];
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) x[i] = call_.x + (m_ + i) * call_.chunks;
    const int64_t whole = (call_.chunks - (call_.ends_short ? 1 : 0)) * Chunk::kBlocks;
    int64_t block = 0;
    for (; block < least(whole, strip_.blocks); block += Chunk::kBlocks) {
      add_chunk<false>(block, least(block + Chunk::kBlocks, strip_.blocks), x);
    }
    if (block < strip_.blocks) add_chunk<true>(block, strip_.blocks, x);
    store();
  }

 private:
  template <bool kShort>
  [[gnu::always_inline]] void add_chunk(int64_t first, int64_t last, const Chunk* (&x)[M]) {
    for (int64_t block = first; block < last; ++block) {
      next_.some();
      add_block<kShort>(block, Chunk::first_lane(static_cast<int>(block - first)), x);
    }
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i)++ x[i];
  }

  template <bool kShort>
  [[gnu::always_inline]] void add_block(int64_t block, int lane, const Chunk* const (&x)[M]) {
    const std::byte* const planes = strip_.planes + block * Strip<V>::kBlockBytes;
    const int8_t* values[M];
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) values[i] = x[i]->planes[0] + 4 * lane;
    typename V::Ints dots[R][M], second_dots[R][M]{};
    constexpr int kPlanes = Chunk::kPlanes, kHalf = kPlanes / 2;
    if constexpr (kScales == Scales::PerHalf) {
      V::template dot_rows<type, x_type, kShort, 0, kHalf>(planes, values, dots);
      V::template dot_rows<type, x_type, kShort, kHalf, kHalf>(planes, values, second_dots);
    } else {
      V::template dot_rows<type, x_type, kShort, 0, kPlanes>(planes, values, dots);
    }
    Floats scales[R]{}, shifts[R]{};
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      const int64_t at = block * Strip<V>::kRows + r * V::kLanes;
      if constexpr (kScales != Scales::PerRow) scales[r] = V::load_f32(strip_.scales + at);
      if constexpr (has_shifts(kScales)) shifts[r] = V::load_f32(strip_.shifts + at);
    }
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      const Floats x_scale = V::all(x[i]->scales[lane]);
      const auto x_offset = [&] { return V::all(x[i]->offsets[lane]); };
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        Floats& sum = sums_[lane % V::kLanes][i][r];
        sum = with_products<V, type, kScales>(sum, dots[r][i], second_dots[r][i], x_scale, x_offset,
                                              scales[r], shifts[r]);
      }
    }
  }

  void store() const {
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      float* const y = call_.y.data + (m_ + i) * call_.y.stride + strip_.first;
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        Floats sum = V::sum_of_registers([&](int lane) { return sums_[lane][i][r]; });
        const int64_t from = r * V::kLanes, count = strip_.rows - from;
        if constexpr (kScales == Scales::PerRow) {
          sum = V::multiply(sum, V::load_f32(strip_.row_scales + from));
        }
        if (count >= V::kLanes) {
          V::store_f32(sum, y + from);
        } else if (count > 0) {
          float some[V::kLanes];
          V::store_f32(sum, some);
          __builtin_memcpy(y + from, some, static_cast<size_t>(count) * sizeof(float));
        }
      }
    }
  }

  const LinearCall<Chunk>& call_;
  const Strip<V>& strip_;
  int64_t m_;
  StripFetch& next_;
  Floats sums_[V::kLanes][M][R];
};

// The tile of `count` rows of x from row m on, for M = `count`.
template <class V, DType type, DType x_type, Scales kScales, int M = V::kMaxTile>
void strip_tile(const LinearCall<typename V::Chunk>& call, const Strip<V>& strip, int64_t m,
                int64_t count, StripFetch& next) {
  if constexpr (M > 1) {
    if (count < M) return strip_tile<V, type, x_type, kScales, M - 1>(call, strip, m, count, next);
  }
  StripTile<V, type, x_type, kScales, M>(call, strip, m, next).run();
}

// The rows of the weight from `first` on: some strips that the second level of cache holds, for all
// rows of x, after others. For few rows of x they are best used one by one, while they are in the
// first level.
template <class V, DType type, Scales kScales, DType x_type = type, class Weights>
void strips(LinearCall<typename V::Chunk> call, const Weights& weights, int64_t first,
            int64_t m_rows) {
  constexpr int64_t kRows = Strip<V>::kRows, kMost = 16, kFewRows = 16;
  const int64_t bytes = Strip<V>::bytes(call);
  const int64_t at_once = m_rows <= kFewRows ? 1 : least(kMost, most(Panel<V>::kBytes / bytes, 1));
  std::byte* const memory =
      kernel_memory(KernelMemory::Panel, static_cast<size_t>(at_once * bytes));
  call.fetch_tiles = false;
  Strip<V> taken[kMost];
  for (int64_t row = first; row < call.last;) {
    int64_t count = 0;
    for (; count < at_once && row < call.last; ++count, row += kRows) {
      taken[count] = Strip<V>::template take_apart<type, kScales>(
          call, weights, row, least(kRows, call.last - row), memory + count * bytes);
    }
    const int64_t tiles = count * quotient_rounded_up(m_rows, V::kMaxTile);
    StripFetch next(call, least(row, call.last), at_once * kRows, tiles * taken[0].blocks);
    for (int64_t m = 0, some; m < m_rows; m += some) {
      some = tile_size<V::kMaxTile>(m_rows - m);
      for (int64_t i = 0; i < count; ++i) {
        strip_tile<V, type, x_type, kScales>(call, taken[i], m, some, next);
      }
    }
  }
}

}  // namespace
}  // namespace diptych::kernels
