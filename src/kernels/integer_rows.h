// The rows of an integer weight as the tiles of integer_tiles.h take them: a step's share of a
// chunk at a time, with the scales that its lanes need. They come from where the weight lies in the
// file, or from a panel of rows that were taken apart before. Included by integer_sums.h alone;
// the top of integer_tiles.h says what V is.
#pragma once

#include "kernels/tiles.h"

namespace diptych::kernels {
namespace {

// The scales of a chunk's blocks of weights: of block b, number `(b + phase) / per_scale` after
// `first` in the row, no later than `last` of them.
struct ChunkScales {
  int64_t first;
  float phase;      // blocks of the first scale that are before the chunk, and a half
  float per_scale;  // 1 / blocks per scale
  int32_t last;

  ChunkScales(const LinearWeight& weight, int64_t first_block) {
    const auto blocks = static_cast<uint32_t>(weight.block / kBlock);
    const auto begin = static_cast<uint32_t>(first_block);
    first = begin / blocks;
    phase = static_cast<float>(begin % blocks) + 0.5f;
    per_scale = 1.0f / static_cast<float>(blocks);
    last = static_cast<int32_t>(weight.columns / weight.block - 1 - first);
  }
};

// A panel of fewer rows is not worth it: rows of x would come from afar too often. Panels have a
// multiple, so that only the last one's last tile lacks rows.
constexpr int64_t kLeastPanelRows = 4;
constexpr int64_t kPartRows = 64;  // rows of the weight whose sums are kept

// One call of linear(): what its tiles have in common.
template <class Chunk>
struct LinearCall {
  const LinearWeight& weight;
  const Chunk* x;
  int64_t last;  // row of the weight
  Output y;
  int64_t chunks, row_bytes, scale_bytes;  // of a row
  int64_t chunk_scale_bytes;               // of a whole chunk, where each has as many
  bool ends_short;                         // the last chunk is a short one
  bool fetch_ahead;                        // of one row of the weight (fetch_choice.h)
  bool fetch_tiles = true;                 // of several, the tile after the next
  float offset_factor = 1;                 // of the activations' offsets (palette_tiles.h)
};

// `weight`: the task's, or what stands for it.
template <class Chunk, DType type, class Weight>
LinearCall<Chunk> call_of(const LinearWeight& weight, const IntegerTask<Weight>& task) {
  return {weight,
          reinterpret_cast<const Chunk*>(task.x.data),
          task.last,
          task.y,
          quotient_rounded_up(task.x.columns, Chunk::kColumns),
          bytes_of_columns<type>(weight.columns),
          weight.columns / weight.block * scale_width(weight),
          Chunk::kColumns / weight.block * scale_width(weight),
          ends_in_short_chunk(task.x.columns),
          task.fetch_ahead};
}

// How the scales of a weight's row are found: one for all; the same way for every whole chunk,
// which have the same number of scales; or anew for each chunk. Shifted: with offsets. Per half:
// two for each block of activations.
enum class Scales { PerRow, Uniform, General, UniformShifted, GeneralShifted, PerHalf };

constexpr bool is_uniform(Scales scales) {
  return scales == Scales::Uniform || scales == Scales::UniformShifted;
}
constexpr bool is_shifted(Scales scales) {
  return scales == Scales::UniformShifted || scales == Scales::GeneralShifted;
}
// Whether a block has a second number of its own.
constexpr bool has_shifts(Scales scales) { return is_shifted(scales) || scales == Scales::PerHalf; }

template <class Chunk>
bool has_uniform_scales(const LinearWeight& weight) {
  return weight.block % kBlock == 0 && Chunk::kColumns % weight.block == 0;
}

// Which scales the lanes of each step need, of a whole chunk and of one that a row ends in: the
// same for every row where scales are found the same way for every whole chunk.
template <class V>
struct ScaleIndices {
  typename V::ScaleIndex whole[V::kSteps], last[V::kSteps];

  explicit ScaleIndices(const LinearWeight& weight) {
    if (!has_uniform_scales<typename V::Chunk>(weight)) return;
    find(ChunkScales(weight, 0), whole);
    const int64_t chunk = weight.columns / V::Chunk::kColumns;
    find(ChunkScales(weight, chunk * V::Chunk::kBlocks), last);
  }
  static void find(const ChunkScales& where, typename V::ScaleIndex (&index)[V::kSteps]) {
    for (int step = 0; step < V::kSteps; ++step) index[step] = V::scale_index(where, step);
  }
};

// R rows of the weight from `row` on where they lie in the file. Those from `call.last` on are
// copies of the first.
template <class V, DType type, Scales kScales, int R>
class StoredRows {
 public:
  static constexpr DType kStored = type;
  static constexpr bool kLooksUpNibbles = false;
  static constexpr int64_t kBytes = bytes_of_columns<type>(V::Chunk::kColumns);
  static constexpr int64_t kScaleBytes =
      kScales == Scales::PerHalf ? 2 * V::kScaleBytes : V::kScaleBytes;
  // What stands in for a chunk that is cut short by the end of the weight.
  struct Spare {
    std::byte weights[R][kBytes], scales[R][kScaleBytes], offsets[R][V::kScaleBytes];
  };

  StoredRows(const LinearCall<typename V::Chunk>& call, const ScaleIndices<V>& indices, int64_t row)
      : weight_(call.weight),
        indices_(indices),
        chunk_scale_bytes_(call.chunk_scale_bytes),
        fetch_ahead_(R == 1 ? call.fetch_ahead : call.fetch_tiles),
        scale_bytes_(call.scale_bytes),
        end_(weight_.data + weight_.rows * call.row_bytes),
        scales_end_(weight_.scales + weight_.rows * call.scale_bytes) {
    for (int r = 0; r < R; ++r) {
      const int64_t index = row + r < call.last ? row + r : row;
      data_[r] = weight_.data + index * call.row_bytes;
      scales_[r] = weight_.scales + index * call.scale_bytes;
    }
  }

  StoredRows(const StoredRows&) = delete;  // index_ may point to own_index_

  // To a chunk of all rows.
  void move_to(int64_t chunk, Spare& spare) {
    if (fetch_ahead_) {
      if constexpr (R > 1) {
        fetch_tile_ahead<R * kBytes>(data_, chunk * R * kBytes);
      } else {
        fetch_row_ahead<kBytes>(data_[0] + chunk * kBytes);
      }
    }
    for (int r = 0; r < R; ++r) {
      chunk_[r] = readable(data_[r] + chunk * kBytes, end_, spare.weights[r]);
    }
    if constexpr (kScales == Scales::PerRow) return;
    if constexpr (kScales == Scales::PerHalf) {
      // The next row's scales, which a last chunk may seem to have, might be no numbers.
      const int64_t at = chunk * 2 * V::Chunk::kBlocks * scale_width(weight_);
      for (int r = 0; r < R; ++r) {
        chunk_scales_[r] = readable(scales_[r] + at, scales_[r] + scale_bytes_, spare.scales[r]);
      }
      return;
    }
    int64_t first = chunk * chunk_scale_bytes_;
    if constexpr (is_uniform(kScales)) {
      const bool is_whole = (chunk + 1) * V::Chunk::kColumns <= weight_.columns;
      index_ = is_whole ? indices_.whole : indices_.last;
    } else {
      const ChunkScales where(weight_, chunk * V::Chunk::kBlocks);
      ScaleIndices<V>::find(where, own_index_);
      first = where.first * scale_width(weight_);
    }
    for (int r = 0; r < R; ++r) {
      chunk_scales_[r] = readable(scales_[r] + first, scales_end_, spare.scales[r]);
      if constexpr (is_shifted(kScales)) {
        const int64_t at = scales_[r] - weight_.scales + first;
        chunk_offsets_[r] =
            readable(weight_.offsets + at, weight_.offsets + (scales_end_ - weight_.scales),
                     spare.offsets[r]);
      }
    }
  }

  const std::byte* bytes(int r) const { return chunk_[r]; }
  auto planes(int r, int step) const { return V::template take_apart<type>(chunk_[r], step); }
  typename V::template ShortPlanes<type> short_planes(int r, int step) const {
    return V::template take_short_apart<type>(chunk_[r], step);
  }
  typename V::Floats scales(int r, int step) const {
    if constexpr (kScales == Scales::PerHalf) return half_scales(r, step, 0);
    return V::block_scales(chunk_scales_[r], weight_.scale_dtype, index_[step]);
  }
  typename V::Floats half_scales(int r, int step, int half) const {
    return V::half_scales(chunk_scales_[r], weight_.scale_dtype, step, half);
  }
  // Per half, the scales of second halves, which have no offsets.
  typename V::Floats shifts(int r, int step) const {
    if constexpr (kScales == Scales::PerHalf) return half_scales(r, step, 1);
    constexpr float kShare = type == DType::Int4 ? 0x1p-3f : 0x1p-7f;
    return V::multiply_add(V::block_scales(chunk_offsets_[r], weight_.scale_dtype, index_[step]),
                           V::all(kShare), V::all(V::template kRaised<type> ? 1 : 0));
  }

 private:
  const LinearWeight& weight_;
  const ScaleIndices<V>& indices_;
  int64_t chunk_scale_bytes_;
  bool fetch_ahead_;
  int64_t scale_bytes_;
  const std::byte *end_, *scales_end_;
  const std::byte *data_[R], *scales_[R];
  const std::byte *chunk_[R], *chunk_scales_[R], *chunk_offsets_[R];
  typename V::ScaleIndex own_index_[V::kSteps];
  const typename V::ScaleIndex* index_ = own_index_;
};

// Rows [first, first + rows) of a weight, taken apart.
template <class V>
struct Panel {
  static constexpr int64_t kBytes = int64_t{256} << 10;  // half of a common second level of cache
  static constexpr int64_t kChunks = kBytes / V::Chunk::kColumns;
  static constexpr int64_t kStepBytes = V::Chunk::kColumns / V::kSteps;

  int64_t first, rows;
  alignas(64) std::byte planes[kBytes];  // row after row, chunk after chunk, step after step
  alignas(64) float scales[kChunks][kLanes], shifts[kChunks][kLanes];

  template <DType type, Scales kScales>
  void take_apart(const LinearCall<typename V::Chunk>& call, int64_t from, int64_t count) {
    using Row = StoredRows<V, type, kScales, 1>;
    const ScaleIndices<V> indices(call.weight);
    float *scale = scales[0], *shift = shifts[0];
    take_planes<Row>(
        call, from, count, [&](int64_t row) { return Row(call, indices, row); },
        [&](const Row& row, int step) {
          if constexpr (kScales != Scales::PerRow) V::store_f32(row.scales(0, step), scale);
          if constexpr (has_shifts(kScales)) V::store_f32(row.shifts(0, step), shift);
          scale += V::kLanes, shift += V::kLanes;
        });
  }

  // Planes of rows that open(row) gives; also(row, step) sees each step.
  template <class Row, class Open, class Also>
  void take_planes(const LinearCall<typename V::Chunk>& call, int64_t from, int64_t count,
                   const Open& open, const Also& also) {
    first = from;
    rows = count;
    std::byte* to = planes;
    for (int64_t index = from; index < from + count; ++index) {
      Row row = open(index);
      for (int64_t c = 0; c < call.chunks; ++c) {
        typename Row::Spare spare;
        row.move_to(c, spare);
        const bool is_short = call.ends_short && c + 1 == call.chunks;
        for (int step = 0; step < V::kSteps; ++step, to += kStepBytes) {
          if (is_short) {
            store<ShortChunk::kPlanes>(row.short_planes(0, step), to);
          } else {
            store<V::Chunk::kPlanes>(row.planes(0, step), to);
          }
          also(row, step);
        }
      }
    }
  }

 private:
  template <int count, class Planes>
  static void store(const Planes& planes, std::byte* to) {
    DIPTYCH_UNROLL for (int i = 0; i < count; ++i) {
      const typename V::Ints plane = planes.plane[i];
      V::store_plane(plane, to);
      to += sizeof plane;
    }
  }
};

// R rows of the weight from `row` on in a panel; those that it lacks are copies of the first.
template <class V, DType type, Scales kScales, int R>
class PanelRows {
 public:
  struct Spare {};

  PanelRows(const LinearCall<typename V::Chunk>& call, const Panel<V>& panel, int64_t row) {
    for (int r = 0; r < R; ++r) {
      const int64_t index = (row - panel.first + r < panel.rows ? r : 0) + row - panel.first;
      rows_[r] = panel.planes + index * call.chunks * V::Chunk::kColumns;
      scales_[r] = panel.scales[index * call.chunks];
      shifts_[r] = panel.shifts[index * call.chunks];
    }
  }

  void move_to(int64_t chunk, Spare& /*spare*/) { chunk_ = chunk; }

  auto planes(int r, int step) const { return loaded<typename V::template Planes<type>>(r, step); }
  typename V::template ShortPlanes<type> short_planes(int r, int step) const {
    return loaded<typename V::template ShortPlanes<type>>(r, step);
  }
  typename V::Floats scales(int r, int step) const {
    return V::load_f32(scales_[r] + chunk_ * kLanes + step * V::kLanes);
  }
  typename V::Floats shifts(int r, int step) const {
    return V::load_f32(shifts_[r] + chunk_ * kLanes + step * V::kLanes);
  }

 private:
  const std::byte* at(int r, int step) const {
    return rows_[r] + (chunk_ * V::kSteps + step) * Panel<V>::kStepBytes;
  }
  template <class Planes>
  Planes loaded(int r, int step) const {
    Planes planes;
    const std::byte* from = at(r, step);
    DIPTYCH_UNROLL for (auto& plane : planes.plane) {
      plane = V::load_plane(from);
      from += sizeof plane;
    }
    return planes;
  }

  const std::byte* rows_[R];
  const float *scales_[R], *shifts_[R];
  int64_t chunk_ = 0;
};

// Where the weights of tiles come from.
template <class V>
struct FromFile {
  static constexpr bool kStreamed = true;
  const ScaleIndices<V>& indices;

  template <DType type, Scales kScales, int R>
  StoredRows<V, type, kScales, R> rows(const LinearCall<typename V::Chunk>& call,
                                       int64_t row) const {
    return {call, indices, row};
  }
};
template <class V>
struct FromPanel {
  static constexpr bool kStreamed = false;
  const Panel<V>& panel;

  template <DType type, Scales kScales, int R>
  PanelRows<V, type, kScales, R> rows(const LinearCall<typename V::Chunk>& call,
                                      int64_t row) const {
    return {call, panel, row};
  }
};

}  // namespace
}  // namespace diptych::kernels
