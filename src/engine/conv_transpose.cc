// Transposed convolutions, phase by phase (phases.h): as products of matrices, like conv.cc, whose
// results are then written where they belong. Those of few channels go by bands (banded.cc).
//
// reference/window.cc is the specification. It also computes what typed numerics ask for.
#include "engine/bands.h"
#include "engine/kernels.h"
#include "engine/patches.h"
#include "engine/phases.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Rows of a weight whose products are kept before they are written to the result.
constexpr int64_t kRowsKept = 128;

struct TransposedConvolution {
  Phases phases;
  Channels channels;
  int64_t in_size, out_size;  // of a channel
  ConvPlaces places;
  std::vector<Patches> set_patches{};  // of each set of phases
  int64_t tiles = 0;                   // of the set that has the most
  uint64_t layout_size = 0;            // of the largest patches

  // Neighbouring places of a tile that lie in a row of their phase: the first one in the tile, how
  // many there are, and the first one's offset in the result.
  struct Run {
    int64_t first, count, offset;
  };
  size_t find_runs(const Windows& windows, int64_t first, int64_t count,
                   std::array<Run, Patches::kTile>& runs) const {
    const auto& [slices, rows, columns] = windows.axes;
    size_t found = 0;
    for (int64_t p = 0; p < count; p += runs[found++].count) {
      const int64_t place = first + p, row = place / columns.out, column = place % columns.out;
      runs[found] = {p, std::min(count - p, columns.out - column),
                     phases.offset_of_place(row / rows.out, row % rows.out, column)};
    }
    return found;
  }

  // A tile of the places of a set of phases, in all channels of a group of one element of the
  // batch.
  void compute(const Frame& frame, int64_t n, int64_t group, size_t set_index, int64_t tile,
               std::byte* scratch) const {
    const PhaseSet& set = phases.sets()[set_index];
    const Patches& patches = set_patches[set_index];
    if (tile >= patches.tiles()) return;
    const int64_t first_in = n * channels.in + group * channels.in_per_group();
    const kernels::FloatWeight matrix =
        patches.lay_out(frame.floats(places.x) + first_in * in_size, tile, scratch);
    auto* const products = reinterpret_cast<float*>(scratch + layout_size);
    std::array<Run, Patches::kTile> runs;
    const size_t run_count = find_runs(set.windows, patches.first(tile), matrix.rows, runs);

    const int64_t row = patches.row(), rows = channels.out_per_group() * set.phase_count();
    const float* const weight = frame.floats(places.weight) + set.weight + group * rows * row;
    for (int64_t begin = 0; begin < rows; begin += kRowsKept) {
      const int64_t end = std::min(begin + kRowsKept, rows);
      kernels::linear_float(kernels::selected_isa(), matrix, weight + begin * row, row, end - begin,
                            0, matrix.rows, products, Patches::kTile);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t channel = group * channels.out_per_group() + i / set.phase_count();
        const auto& phase = set.phases[static_cast<size_t>(i % set.phase_count())];
        const float* const from = products + (i - begin) * Patches::kTile;
        float* const to = frame.floats(places.result) + (n * channels.out + channel) * out_size +
                          phases.offset(phase.first);
        const float add = places.bias ? frame.floats(*places.bias)[channel] : 0.0f;
        for (size_t r = 0; r < run_count; ++r) {
          const auto& [first, count, offset] = runs[r];
          for (int64_t p = 0; p < count; ++p) {
            to[offset + p * phases.step()] = from[first + p] + add;
          }
        }
      }
    }
  }
};

}  // namespace

Result<ConvPlaces> phase_places(const mil::Op& op, const Phases& phases, Lowering& lowering) {
  const std::string what = fmt::format("weight of %{}", op.result()->name);
  const Place weight = TRY(lowering.precomputed(
      {op.operand("weight")}, what, static_cast<uint64_t>(phases.weight_size()),
      [phases](const std::vector<const float*>& from, float* out) {
        phases.lay_out_weight(from.front(), out);
      }));
  return conv_places(op, weight, lowering);
}

void fill_gaps(const Frame& frame, const Phases& phases, const ConvPlaces& places, int64_t batch,
               int64_t channels, int64_t size) {
  if (!phases.leave_gaps()) return;
  frame.pool.parallel_for(batch * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::fill_n(frame.floats(places.result) + i * size, size,
                  places.bias ? frame.floats(*places.bias)[i % channels] : 0.0f);
    }
  });
}

Status lower_conv_transpose(const mil::Op& op, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_conv_transpose(op)));
  const Channels channels = TRY(channels_of(op));
  if (lowering.numerics() == Numerics::Typed || !Phases::suit(windows)) {
    return lower_plain_conv_transpose(op, lowering);
  }
  const Phases phases(windows, channels);
  const bool few = channels.out_per_group() < kFewChannels;
  const bool suits =
      std::all_of(phases.sets().begin(), phases.sets().end(), [&](const PhaseSet& set) {
        return few ? Bands::suit(set.windows) : Patches::suit(set.windows, channels.in_per_group());
      });
  if (!suits) return lower_plain_conv_transpose(op, lowering);
  if (few) return lower_banded_conv_transpose(op, phases, lowering);

  const ConvPlaces places = TRY(phase_places(op, phases, lowering));
  auto made = std::make_shared<TransposedConvolution>(
      TransposedConvolution{phases, channels, windows.out(), windows.in(), places});
  for (const PhaseSet& set : phases.sets()) {
    const Patches patches(set.windows, channels.in_per_group());
    made->tiles = std::max(made->tiles, patches.tiles());
    made->layout_size = std::max(made->layout_size, patches.scratch_size());
    made->set_patches.push_back(patches);
  }
  lowering.thread_scratch(made->layout_size +
                          static_cast<uint64_t>(kRowsKept * Patches::kTile) * sizeof(float));
  lowering.emit(
      op,
      [shared = std::shared_ptr<const TransposedConvolution>(std::move(made)),
       batch = op.result()->type.shape[0]](const Frame& frame) -> Status {
        const TransposedConvolution& conv = *shared;
        fill_gaps(frame, conv.phases, conv.places, batch, conv.channels.out, conv.out_size);
        const auto sets = static_cast<int64_t>(conv.set_patches.size());
        const int64_t groups = conv.channels.groups, all = batch * groups * conv.tiles * sets;
        // Sets in turns, since what they read and write lies side by side.
        frame.pool.parallel_for(all, 1, [&](int64_t begin, int64_t end, int thread) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t tile = i / sets % conv.tiles, group = i / sets / conv.tiles;
            conv.compute(frame, group / groups, group % groups, static_cast<size_t>(i % sets), tile,
                         frame.scratch(thread));
          }
        });
        return {};
      });
  return {};
}

}  // namespace diptych::engine
