#include "engine/phases.h"

#include <numeric>

namespace diptych::engine {
namespace {

using mil::WindowAxis;

constexpr int64_t kMostPhases = 1 << 12;

int64_t phases_along(const WindowAxis& axis) { return std::min(axis.stride, axis.in); }

// From a tap that a phase meets to the next.
int64_t tap_step(const WindowAxis& axis) {
  return axis.stride / std::gcd(axis.stride, axis.dilation);
}

// One axis of a phase: the convolution over x, and the last tap of it, of which there is none when
// the window's kernel is 0.
struct AxisPhase {
  WindowAxis window;
  int64_t last_tap = 0;

  AxisPhase(const WindowAxis& axis, int64_t phase) {
    // Tap k reaches elements of the phase from place q + (phase + before - k * dilation) / stride.
    const int64_t step = tap_step(axis), at = phase + axis.before;
    int64_t tap = 0;
    while (tap < std::min(step, axis.kernel) && (at - tap * axis.dilation) % axis.stride != 0)
      ++tap;
    const int64_t taps = tap < std::min(step, axis.kernel) ? (axis.kernel - 1 - tap) / step + 1 : 0;
    last_tap = tap + (taps - 1) * step;
    window.in = axis.out;
    window.out = (axis.in - 1 - phase) / axis.stride + 1;
    window.kernel = taps;
    window.dilation = step * axis.dilation / axis.stride;
    window.before = taps == 0 ? 0 : (last_tap * axis.dilation - at) / axis.stride;
  }
};

bool read_alike(const Windows& a, const Windows& b) {
  return std::equal(a.axes.begin(), a.axes.end(), b.axes.begin(), [](const auto& x, const auto& y) {
    return x.kernel == y.kernel && x.before == y.before && x.out == y.out;
  });
}

}  // namespace

bool Phases::suit(const Windows& transposed) {
  int64_t count = 1;
  for (const WindowAxis& axis : transposed.axes) {
    if (phases_along(axis) > kMostPhases / count) return false;
    count *= phases_along(axis);
  }
  return true;
}

Phases::Phases(const Windows& transposed, const Channels& channels)
    : transposed_(transposed), channels_(channels) {
  for (int64_t d = 0; d < phases_along(slices()); ++d) {
    for (int64_t r = 0; r < phases_along(rows()); ++r) {
      for (int64_t c = 0; c < phases_along(columns()); ++c) {
        const AxisPhase slice(slices(), d), row(rows(), r), column(columns(), c);
        add(Windows({slice.window, row.window, column.window}),
            {{d, r, c}, {slice.last_tap, row.last_tap, column.last_tap}});
      }
    }
  }
  for (PhaseSet& set : sets_) {
    set.weight = weight_size_;
    weight_size_ +=
        set.phase_count() * channels_.out * channels_.in_per_group() * set.windows.kernel();
  }
}

void Phases::add(const Windows& windows, const PhaseSet::Phase& phase) {
  if (windows.kernel() == 0) {
    leave_gaps_ = true;
    return;
  }
  auto set = std::find_if(sets_.begin(), sets_.end(), [&](const PhaseSet& known) {
    return read_alike(known.windows, windows);
  });
  if (set == sets_.end()) set = sets_.insert(set, PhaseSet{windows, {}});
  set->phases.push_back(phase);
}

void Phases::lay_out_weight(const float* weight, float* out) const {
  const int64_t per_group = channels_.in_per_group(), outs = channels_.out_per_group();
  for (const PhaseSet& set : sets_) {
    const auto& [slice_axis, row_axis, column_axis] = set.windows.axes;
    for (int64_t o = 0; o < channels_.out; ++o) {
      const int64_t first = channels_.group_of(o) * per_group;
      for (const PhaseSet::Phase& phase : set.phases) {
        for (int64_t c = first; c < first + per_group; ++c) {
          const float* const taps = weight + (c * outs + o % outs) * transposed_.kernel();
          for (int64_t d = 0; d < slice_axis.kernel; ++d) {
            const int64_t slice = phase.last_tap[0] - d * tap_step(slices());
            for (int64_t r = 0; r < row_axis.kernel; ++r) {
              const int64_t row = phase.last_tap[1] - r * tap_step(rows());
              for (int64_t k = 0; k < column_axis.kernel; ++k) {
                const int64_t column = phase.last_tap[2] - k * tap_step(columns());
                *out++ = taps[(slice * rows().kernel + row) * columns().kernel + column];
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace diptych::engine
