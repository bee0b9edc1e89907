// Pools, and convolutions of so few channels that they are no products of matrices, by bands of
// rows (bands.h). reference/window.cc is the specification; it also computes what typed numerics
// ask for.
#include <cmath>
#include <limits>

#include "engine/bands.h"
#include "engine/kernels.h"
#include "engine/phases.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kBandedGrain = 1 << 12;  // places of the result worth a thread of their own

// Calls body(channel, band, scratch) for the `each` bands of all `channels` channels of the result,
// which have so many places.
template <class Body>
void for_each_band(const Frame& frame, int64_t each, int64_t channels, int64_t places, Body body) {
  const int64_t grain = std::max<int64_t>(1, kBandedGrain * each / places);
  frame.pool.parallel_for(channels * each, grain, [&](int64_t begin, int64_t end, int thread) {
    auto* const scratch = reinterpret_cast<float*>(frame.scratch(thread));
    for (int64_t i = begin; i < end; ++i) body(i / each, i % each, scratch);
  });
}

using TakeTaps = void (*)(const float*, const Taps&, size_t, float*);

struct Pool {
  TakeTaps take;
  float start;      // of a sum or a maximum, which padding leaves as it is
  bool mean, root;  // what becomes of the sum
};

Pool pool_of(std::string_view op) {
  if (op == "max_pool") {
    return {take_largest_taps, -std::numeric_limits<float>::infinity(), false, false};
  }
  if (op == "l2_pool") return {add_squared_taps, 0, false, true};
  return {add_taps, 0, true, false};
}

// A band of a channel of a convolution's result, left in the band's runs: its bias, and what the
// channels from `x` on give with their taps.
void convolve_band(const Bands& bands, const Windows& windows, int64_t band, const float* x,
                   int64_t channels, const float* weight, float bias, float* scratch) {
  bands.begin(bias, scratch);
  for (int64_t c = 0; c < channels; ++c, x += windows.in(), weight += windows.kernel()) {
    bands.lay_out(x, band, 0, scratch);
    bands.for_each_run(scratch, [&](const float* from, size_t length, float* out) {
      add_weighted_taps(from, bands.taps(), weight, length, out);
    });
  }
}

}  // namespace

Status lower_banded_conv(const mil::Op& op, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_conv(op)));
  const Channels channels = TRY(channels_of(op));
  const ConvPlaces at = TRY(conv_places(op, lowering));
  const Bands bands(windows);
  lowering.thread_scratch(static_cast<uint64_t>(bands.scratch()) * sizeof(float));
  lowering.emit(op, [=, batch = op.result()->type.shape[0]](const Frame& frame) -> Status {
    const int64_t per_group = channels.in_per_group();
    const auto& [slices, rows, columns] = windows.axes;
    const int64_t all = batch * channels.out;
    for_each_band(frame, bands.per_channel(), all, windows.out(),
                  [&](int64_t i, int64_t band, float* scratch) {
                    const int64_t n = i / channels.out, o = i % channels.out;
                    const int64_t first = n * channels.in + channels.group_of(o) * per_group;
                    convolve_band(bands, windows, band, frame.floats(at.x) + first * windows.in(),
                                  per_group,
                                  frame.floats(at.weight) + o * per_group * windows.kernel(),
                                  at.bias ? frame.floats(*at.bias)[o] : 0.0f, scratch);
                    float* const plane = frame.floats(at.result) + i * windows.out();
                    bands.for_each_row(band, scratch, [&](int64_t d, int64_t r, const float* row) {
                      std::copy_n(row, columns.out, plane + (d * rows.out + r) * columns.out);
                    });
                  });
    return {};
  });
  return {};
}

Status lower_banded_conv_transpose(const mil::Op& op, const Phases& phases, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_conv_transpose(op)));
  const Channels channels = TRY(channels_of(op));
  const ConvPlaces at = TRY(phase_places(op, phases, lowering));
  std::vector<Bands> bands;
  int64_t most_bands = 1;
  for (const PhaseSet& set : phases.sets()) {
    bands.emplace_back(set.windows);
    most_bands = std::max(most_bands, bands.back().per_channel());
    lowering.thread_scratch(static_cast<uint64_t>(bands.back().scratch()) * sizeof(float));
  }
  // A band of all phases, in channel i % channels.out of the result of element i / channels.out of
  // the batch.
  const auto compute = [=](const Frame& frame, int64_t i, int64_t band, float* scratch) {
    const int64_t n = i / channels.out, o = i % channels.out;
    const int64_t per_group = channels.in_per_group();
    const int64_t first = n * channels.in + channels.group_of(o) * per_group;
    float* const plane = frame.floats(at.result) + i * windows.in();
    for (size_t s = 0; s < bands.size(); ++s) {
      const PhaseSet& set = phases.sets()[s];
      if (band >= bands[s].per_channel()) continue;
      const int64_t row_size = per_group * set.windows.kernel();
      const float* weight = frame.floats(at.weight) + set.weight + o * set.phase_count() * row_size;
      for (const PhaseSet::Phase& phase : set.phases) {
        convolve_band(bands[s], set.windows, band, frame.floats(at.x) + first * windows.out(),
                      per_group, weight, at.bias ? frame.floats(*at.bias)[o] : 0.0f, scratch);
        weight += row_size;
        bands[s].for_each_row(band, scratch, [&](int64_t d, int64_t r, const float* row) {
          float* const to = plane + phases.offset(phase.first) + phases.offset_of_place(d, r, 0);
          for (int64_t c = 0; c < set.windows.axes[2].out; ++c) to[c * phases.step()] = row[c];
        });
      }
    }
  };
  lowering.emit(op, [=, batch = op.result()->type.shape[0]](const Frame& frame) -> Status {
    fill_gaps(frame, phases, at, batch, channels.out, windows.in());
    for_each_band(
        frame, most_bands, batch * channels.out, windows.in(),
        [&](int64_t i, int64_t band, float* scratch) { compute(frame, i, band, scratch); });
    return {};
  });
  return {};
}

Status lower_pool(const mil::Op& op, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_pool(op)));
  if (lowering.numerics() == Numerics::Typed || !Bands::suit(windows)) {
    return lower_plain_pool(op, lowering);
  }
  const Pool pool = pool_of(op.type);
  const bool padding = !TRY(mil::bool_param(op, "exclude_padding_from_average", false));
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  const Bands bands(windows);
  std::vector<float> column_counts;
  for (int64_t c = 0; c < windows.axes[2].out; ++c) {
    column_counts.push_back(static_cast<float>(counted(windows.axes[2], c, padding)));
  }
  const Shape& shape = op.result()->type.shape;
  lowering.thread_scratch(static_cast<uint64_t>(bands.scratch()) * sizeof(float));
  lowering.emit(op, [=, channels = shape[0] * shape[1]](const Frame& frame) -> Status {
    const auto& [slices, rows, columns] = windows.axes;
    const auto pool_band = [&](int64_t i, int64_t band, float* scratch) {
      bands.begin(pool.start, scratch);
      bands.lay_out(frame.floats(x) + i * windows.in(), band, pool.start, scratch);
      bands.for_each_run(scratch, [&](const float* from, size_t length, float* out) {
        pool.take(from, bands.taps(), length, out);
      });
      float* const plane = frame.floats(result) + i * windows.out();
      bands.for_each_row(band, scratch, [&](int64_t d, int64_t r, const float* row) {
        const auto above =
            static_cast<float>(counted(slices, d, padding) * counted(rows, r, padding));
        float* const out = plane + (d * rows.out + r) * columns.out;
        for (int64_t c = 0; c < columns.out; ++c) {
          out[c] = row[c];
          if (pool.root) out[c] = std::sqrt(row[c]);
          if (pool.mean) {
            out[c] = row[c] / (above * column_counts[static_cast<size_t>(c)]);
          }
        }
      });
    };
    for_each_band(frame, bands.per_channel(), channels, windows.out(), pool_band);
    return {};
  });
  return {};
}

}  // namespace diptych::engine
