// Convolutions as products of matrices: the input of a tile of windows is laid out as rows, one for
// each place of the result (patches.h), which meet the weight's rows, one for each of its channels.
//
// reference/window.cc is the specification. It also computes what typed numerics ask for.
// Convolutions of so few channels that laying out costs more than it gains go by bands (banded.cc).
#include "engine/bands.h"
#include "engine/kernels.h"
#include "engine/patches.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

struct Convolution {
  Windows windows;
  Channels channels;
  Patches patches;
  ConvPlaces places{};

  // A tile of the result's places, in all channels of a group of one element of the batch.
  void compute(const Frame& frame, int64_t n, int64_t group, int64_t tile,
               std::byte* scratch) const {
    const int64_t first = patches.first(tile), count = patches.count(tile), row = patches.row();
    const int64_t out_channel = group * channels.out_per_group();
    const kernels::FloatWeight matrix = patches.lay_out(
        frame.floats(places.x) + (n * channels.in + group * channels.in_per_group()) * windows.in(),
        tile, scratch);
    float* const out =
        frame.floats(places.result) + (n * channels.out + out_channel) * windows.out() + first;
    kernels::linear_float(kernels::selected_isa(), matrix,
                          frame.floats(places.weight) + out_channel * row, row,
                          channels.out_per_group(), 0, count, out, windows.out());
    for (int64_t o = 0; places.bias && o < channels.out_per_group(); ++o) {
      const float add = frame.floats(*places.bias)[out_channel + o];
      for (int64_t p = 0; p < count; ++p) out[o * windows.out() + p] += add;
    }
  }
};

}  // namespace

Status lower_conv(const mil::Op& op, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_conv(op)));
  const Channels channels = TRY(channels_of(op));
  const bool few = channels.out_per_group() < kFewChannels;
  if (lowering.numerics() != Numerics::Typed && few && Bands::suit(windows)) {
    return lower_banded_conv(op, lowering);
  }
  if (lowering.numerics() == Numerics::Typed || few ||
      !Patches::suit(windows, channels.in_per_group())) {
    return lower_plain_conv(op, lowering);
  }
  Convolution conv{windows, channels, Patches(windows, channels.in_per_group())};
  conv.places = TRY(conv_places(op, lowering));
  lowering.thread_scratch(conv.patches.scratch_size());
  lowering.emit(op, [conv, batch = op.result()->type.shape[0]](const Frame& frame) -> Status {
    const int64_t tiles = conv.patches.tiles(), groups = conv.channels.groups;
    frame.pool.parallel_for(batch * groups * tiles, 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i) {
        conv.compute(frame, i / tiles / groups, i / tiles % groups, i % tiles,
                     frame.scratch(thread));
      }
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
