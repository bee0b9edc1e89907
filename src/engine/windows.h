// What convolutions and pools slide over: windows and channels.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "mil/window.h"

namespace diptych::engine {

// Windows over three spatial axes; missing ones come first and have the size 1.
struct Windows {
  std::array<mil::WindowAxis, 3> axes;  // depth, rows, columns

  explicit Windows(const std::vector<mil::WindowAxis>& given) {
    std::copy(given.begin(), given.end(), axes.end() - static_cast<std::ptrdiff_t>(given.size()));
  }
  int64_t in() const { return axes[0].in * axes[1].in * axes[2].in; }
  int64_t out() const { return axes[0].out * axes[1].out * axes[2].out; }
  int64_t kernel() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
};

// Which channels meet in a (transposed) convolution.
struct Channels {
  int64_t in, out, groups;

  int64_t in_per_group() const { return in / groups; }
  int64_t out_per_group() const { return out / groups; }
  int64_t group_of(int64_t out_channel) const { return out_channel / out_per_group(); }
};

}  // namespace diptych::engine
