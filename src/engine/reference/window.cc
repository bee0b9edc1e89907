// Convolutions and pools. Each channel of a result is computed by one thread, from whole rows of
// the last axis; taps are added in the order of their channels and places, in fp32.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels.h"
#include "engine/windows.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

using mil::WindowAxis;

// The places [first, last) of an axis whose window has element k inside the input.
struct PlaceRange {
  int64_t first, last;
};
PlaceRange places_with(const WindowAxis& axis, int64_t k) {
  const int64_t offset = k * axis.dilation - axis.before;  // place o reads o * stride + offset
  const int64_t first = offset >= 0 ? 0 : (-offset + axis.stride - 1) / axis.stride;
  const int64_t room = axis.in - 1 - offset;
  const int64_t last = room < 0 ? 0 : std::min(axis.out, room / axis.stride + 1);
  return {first, std::max(first, last)};
}

// Calls body(tap, out, in, count) for the rows of one channel that each tap of the window connects:
// elements out, out + 1, … of the result and in, in + stride, … of the input.
template <class Body>
void for_each_tap(const Windows& windows, Body body) {
  const auto& [depth, rows, columns] = windows.axes;
  int64_t tap = 0;
  for (int64_t kd = 0; kd < depth.kernel; ++kd) {
    const PlaceRange d = places_with(depth, kd);
    for (int64_t kr = 0; kr < rows.kernel; ++kr) {
      const PlaceRange r = places_with(rows, kr);
      for (int64_t kc = 0; kc < columns.kernel; ++kc, ++tap) {
        const PlaceRange c = places_with(columns, kc);
        if (c.first == c.last) continue;
        for (int64_t od = d.first; od < d.last; ++od) {
          const int64_t id = od * depth.stride + kd * depth.dilation - depth.before;
          for (int64_t orow = r.first; orow < r.last; ++orow) {
            const int64_t irow = orow * rows.stride + kr * rows.dilation - rows.before;
            const int64_t icolumn =
                c.first * columns.stride + kc * columns.dilation - columns.before;
            body(tap, (od * rows.out + orow) * columns.out + c.first,
                 (id * rows.in + irow) * columns.in + icolumn, c.last - c.first);
          }
        }
      }
    }
  }
}

// Emits the step that computes each channel of the result: `accumulate(x channel, weights, result
// channel)` adds what one channel of x gives.
template <class Accumulate>
Status emit_conv(const mil::Op& op, Lowering& lowering, Channels channels, int64_t in_size,
                 int64_t out_size, int64_t kernel, bool transposed, Accumulate accumulate) {
  const ConvPlaces at = TRY(conv_places(op, lowering));
  const int64_t batch = op.result()->type.shape[0];
  lowering.emit(op, [=](const Frame& frame) -> Status {
    frame.pool.parallel_for(batch * channels.out, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / channels.out, o = i % channels.out;
        const int64_t first = channels.group_of(o) * channels.in_per_group();
        float* out = frame.floats(at.result) + i * out_size;
        std::fill_n(out, out_size, at.bias ? frame.floats(*at.bias)[o] : 0.0f);
        for (int64_t c = 0; c < channels.in_per_group(); ++c) {
          // weight: [out, in / groups, ...], transposed [in, out / groups, ...]
          const int64_t block =
              transposed ? (first + c) * channels.out_per_group() + o % channels.out_per_group()
                         : o * channels.in_per_group() + c;
          accumulate(frame.floats(at.x) + (n * channels.in + first + c) * in_size,
                     frame.floats(at.weight) + block * kernel, out);
        }
      }
    });
    return {};
  });
  return {};
}

struct PoolSums {
  // Begins a result's element, takes in one element of the input, and ends with the number of
  // elements that it is the mean of.
  float start;
  float (*take)(float sum, float x);
  float (*end)(float sum, float count);
};

float max_of(float a, float b) { return a > b || std::isnan(a) ? a : b; }

PoolSums pool_sums(std::string_view op) {
  if (op == "max_pool") {
    return {-std::numeric_limits<float>::infinity(), max_of, [](float sum, float) { return sum; }};
  }
  if (op == "l2_pool") {
    return {0, [](float sum, float x) { return sum + x * x; },
            [](float sum, float) { return std::sqrt(sum); }};
  }
  return {0, [](float sum, float x) { return sum + x; },
          [](float sum, float count) { return sum / count; }};
}

}  // namespace

int64_t counted(const WindowAxis& axis, int64_t place, bool padding) {
  if (!padding) return std::max<int64_t>(axis.last(place) - axis.first(place), 0);
  return std::min(axis.kernel, axis.in + axis.before + axis.after - place * axis.stride);
}

Result<Channels> channels_of(const mil::Op& op) {
  return Channels{op.operand("x")->type.shape[1], op.result()->type.shape[1],
                  TRY(mil::int_param(op, "groups", 1))};
}

namespace {

// A quantised weight becomes floats.
Result<Place> conv_weight(const mil::Op& op, Lowering& lowering) {
  const mil::Value& weight = *op.operand("weight");
  if (op.type != "conv_quantized") return lowering.cells(weight);
  const mil::Value &scale = *op.operand("quant_scale"), &bias = *op.operand("quant_bias");
  const auto count = static_cast<int64_t>(TRY(element_count(weight.type.shape)));
  const int64_t channels = weight.type.shape[0], each = count / channels;
  // Of a scale or bias for all elements and of one for each channel.
  const auto step_of = [](const mil::Value& value) {
    return element_count(value.type.shape).value_or(0) == 1 ? 0 : 1;
  };
  const std::string what = fmt::format("weight of %{}", op.result()->name);
  return lowering.precomputed({&weight, &scale, &bias}, what, static_cast<uint64_t>(count),
                              [=, scale_step = step_of(scale), bias_step = step_of(bias)](
                                  const std::vector<const float*>& from, float* out) {
                                for (int64_t c = 0; c < channels; ++c) {
                                  const float s = from[1][c * scale_step],
                                              b = from[2][c * bias_step];
                                  for (int64_t i = c * each; i < (c + 1) * each; ++i)
                                    out[i] = s * from[0][i] + b;
                                }
                              });
}

}  // namespace

Result<ConvPlaces> conv_places(const mil::Op& op, Lowering& lowering) {
  return conv_places(op, TRY(conv_weight(op, lowering)), lowering);
}

Result<ConvPlaces> conv_places(const mil::Op& op, Place weight, Lowering& lowering) {
  const mil::Value* const bias = op.operand("bias");
  ConvPlaces places;
  places.x = TRY(lowering.cells(*op.operand("x")));
  places.weight = weight;
  if (bias != nullptr) places.bias = TRY(lowering.cells_like(*bias, DType::F32));
  places.result = TRY(lowering.result(*op.result()));
  return places;
}

Status lower_plain_conv(const mil::Op& op, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_conv(op)));
  const Channels channels = TRY(channels_of(op));
  const int64_t stride = windows.axes[2].stride;
  return emit_conv(op, lowering, channels, windows.in(), windows.out(), windows.kernel(), false,
                   [=](const float* x, const float* weight, float* out) {
                     for_each_tap(windows, [&](int64_t tap, int64_t to, int64_t from, int64_t n) {
                       const float w = weight[tap];
                       for (int64_t i = 0; i < n; ++i) out[to + i] += w * x[from + i * stride];
                     });
                   });
}

// The convolution the other way: x has an element for each place of the windows.
Status lower_plain_conv_transpose(const mil::Op& op, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_conv_transpose(op)));
  const Channels channels = TRY(channels_of(op));
  const int64_t stride = windows.axes[2].stride;
  return emit_conv(op, lowering, channels, windows.out(), windows.in(), windows.kernel(), true,
                   [=](const float* x, const float* weight, float* out) {
                     for_each_tap(windows, [&](int64_t tap, int64_t from, int64_t to, int64_t n) {
                       const float w = weight[tap];
                       for (int64_t i = 0; i < n; ++i) out[to + i * stride] += w * x[from + i];
                     });
                   });
}

Status lower_plain_pool(const mil::Op& op, Lowering& lowering) {
  const Windows windows(TRY(mil::resolve_pool(op)));
  const PoolSums sums = pool_sums(op.type);
  const bool padding = !TRY(mil::bool_param(op, "exclude_padding_from_average", false));
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  const Shape& shape = op.result()->type.shape;
  const int64_t channels = shape[0] * shape[1];
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const auto& [depth, rows, columns] = windows.axes;
    const auto pool_channel = [&](const float* from, float* out) {
      for (int64_t od = 0; od < depth.out; ++od) {
        for (int64_t orow = 0; orow < rows.out; ++orow) {
          for (int64_t ocolumn = 0; ocolumn < columns.out; ++ocolumn) {
            float sum = sums.start;
            for (int64_t kd = depth.first(od); kd < depth.last(od); ++kd) {
              const int64_t id = od * depth.stride + kd - depth.before;
              for (int64_t kr = rows.first(orow); kr < rows.last(orow); ++kr) {
                const int64_t irow = orow * rows.stride + kr - rows.before;
                const float* row = from + (id * rows.in + irow) * columns.in;
                for (int64_t kc = columns.first(ocolumn); kc < columns.last(ocolumn); ++kc) {
                  sum = sums.take(sum, row[ocolumn * columns.stride + kc - columns.before]);
                }
              }
            }
            const double count = static_cast<double>(counted(depth, od, padding)) *
                                 static_cast<double>(counted(rows, orow, padding)) *
                                 static_cast<double>(counted(columns, ocolumn, padding));
            *out++ = sums.end(sum, static_cast<float>(count));
          }
        }
      }
    };
    frame.pool.parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        pool_channel(frame.floats(x) + i * windows.in(), frame.floats(result) + i * windows.out());
      }
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
