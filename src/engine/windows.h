// What convolutions and pools slide over: windows and channels. The functions are in
// reference/window.cc.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "engine/lowering.h"
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

// How many elements of a pool's window at a place count: those of the input or, with `padding`, of
// the padded input, behind whose end windows of ceil_mode may reach.
int64_t counted(const mil::WindowAxis& axis, int64_t place, bool padding);

// Of a convolution, which way it may go.
Result<Channels> channels_of(const mil::Op& op);

// Channels of a group's result from which on a convolution is a product of matrices.
inline constexpr int64_t kFewChannels = 8;

// Where the operands and the result of a convolution are, as floats: of a quantised weight, what it
// stands for.
struct ConvPlaces {
  Place x, weight;
  std::optional<Place> bias;
  Place result;
};
Result<ConvPlaces> conv_places(const mil::Op& op, Lowering& lowering);
// The same with a weight that was brought into another order.
Result<ConvPlaces> conv_places(const mil::Op& op, Place weight, Lowering& lowering);

}  // namespace diptych::engine
