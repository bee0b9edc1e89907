// Convolutions as products of matrices: the input of a tile of windows is laid out as rows, one for
// each place of the result, which meet the weight's rows, one for each of its channels.
//
// reference/window.cc is the specification. It also computes what typed numerics ask for.
// Convolutions of so few channels that laying out costs more than it gains go by bands (banded.cc).
#include <algorithm>

#include "engine/bands.h"
#include "engine/kernels.h"
#include "kernels/linear.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Places that are laid out together: as many rows as the kernels work off at once.
constexpr int64_t kTile = kernels::kFloatRowsAtOnce;
// Result channels of a group from which on the layout pays.
constexpr int64_t kFewChannels = 8;
// The longest row: a tile of such rows is as large as a thread's scratch memory may be.
constexpr int64_t kLongestRow = 1 << 16;

struct Convolution {
  Windows windows;
  Channels channels;
  ConvPlaces places;

  // Elements of a row: those of the window in all channels of a group.
  int64_t row() const { return channels.in_per_group() * windows.kernel(); }
  int64_t tiles() const { return (windows.out() + kTile - 1) / kTile; }

  // The place of a window in the input, before its taps are counted; possibly in the padding.
  struct Corner {
    int64_t depth, row, column;
  };
  Corner corner(int64_t place) const {
    const auto& [depth, rows, columns] = windows.axes;
    const int64_t column = place % columns.out, row = place / columns.out % rows.out,
                  slice = place / columns.out / rows.out;
    return {slice * depth.stride - depth.before, row * rows.stride - rows.before,
            column * columns.stride - columns.before};
  }

  // Lays out the windows of `count` places from `first` on, of the channels from `channel` on.
  void lay_out(const float* channel, int64_t first, int64_t count, float* out) const {
    const auto& [depth, rows, columns] = windows.axes;
    std::array<Corner, kTile> corners;
    for (int64_t p = 0; p < count; ++p) corners[static_cast<size_t>(p)] = corner(first + p);
    const int64_t length = row();
    const auto inside = [](int64_t at, int64_t size) {
      return static_cast<uint64_t>(at) < static_cast<uint64_t>(size);
    };
    for (int64_t c = 0; c < channels.in_per_group(); ++c, channel += windows.in()) {
      for (int64_t kd = 0; kd < depth.kernel; ++kd) {
        for (int64_t kr = 0; kr < rows.kernel; ++kr) {
          for (int64_t kc = 0; kc < columns.kernel; ++kc, ++out) {
            for (int64_t p = 0; p < count; ++p) {
              const Corner& at = corners[static_cast<size_t>(p)];
              const int64_t d = at.depth + kd * depth.dilation, r = at.row + kr * rows.dilation,
                            k = at.column + kc * columns.dilation;
              const bool is_inside =
                  inside(d, depth.in) && inside(r, rows.in) && inside(k, columns.in);
              out[p * length] = is_inside ? channel[(d * rows.in + r) * columns.in + k] : 0.0f;
            }
          }
        }
      }
    }
  }

  // A tile of the result's places, in all channels of a group of one element of the batch.
  void compute(const Frame& frame, int64_t n, int64_t group, int64_t tile, float* scratch) const {
    const int64_t first = tile * kTile, count = std::min(kTile, windows.out() - first);
    const int64_t out_channel = group * channels.out_per_group();
    lay_out(
        frame.floats(places.x) + (n * channels.in + group * channels.in_per_group()) * windows.in(),
        first, count, scratch);
    float* const out =
        frame.floats(places.result) + (n * channels.out + out_channel) * windows.out() + first;
    kernels::linear_float(kernels::selected_isa(),
                          {reinterpret_cast<const std::byte*>(scratch), DType::F32, count, row()},
                          frame.floats(places.weight) + out_channel * row(), row(),
                          channels.out_per_group(), 0, count, out, windows.out());
    for (int64_t o = 0; places.bias && o < channels.out_per_group(); ++o) {
      const float add = frame.floats(*places.bias)[out_channel + o];
      for (int64_t p = 0; p < count; ++p) out[o * windows.out() + p] += add;
    }
  }
};

}  // namespace

Status lower_conv(const mil::Op& op, Lowering& lowering) {
  const auto axes = TRY(mil::resolve_conv(op));
  const Channels channels = TRY(channels_of(op));
  Convolution conv{Windows(axes), channels, {}};
  const bool few = conv.channels.out_per_group() < kFewChannels;
  if (lowering.numerics() != Numerics::Typed && few && Bands::suit(conv.windows)) {
    return lower_banded_conv(op, lowering);
  }
  if (lowering.numerics() == Numerics::Typed || few || conv.row() > kLongestRow) {
    return lower_plain_conv(op, lowering);
  }
  conv.places = TRY(conv_places(op, lowering));
  lowering.thread_scratch(static_cast<uint64_t>(kTile * conv.row()) * sizeof(float));
  lowering.emit(op, [conv, batch = op.result()->type.shape[0]](const Frame& frame) -> Status {
    const int64_t tiles = conv.tiles(), groups = conv.channels.groups;
    frame.pool.parallel_for(batch * groups * tiles, 1, [&](int64_t begin, int64_t end, int thread) {
      auto* const scratch = reinterpret_cast<float*>(frame.scratch(thread));
      for (int64_t i = begin; i < end; ++i) {
        conv.compute(frame, i / tiles / groups, i / tiles % groups, i % tiles, scratch);
      }
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
