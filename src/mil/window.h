// Windows that slide over the spatial axes of [n, channels, spatial...]: convolutions and pools.
// Their parameters, resolved for inference and the engine alike.
#pragma once

#include <vector>

#include "mil/params.h"

namespace diptych::mil {

// One spatial axis. Element k of the window at place o reads place o * stride + k * dilation -
// before of the input; places outside are padding.
struct WindowAxis {
  int64_t in = 1, kernel = 1, stride = 1, dilation = 1;
  int64_t before = 0, after = 0;  // padding
  int64_t out = 1;

  // The elements [first, last) of the window at `o` that read the input.
  int64_t first(int64_t o) const {
    const int64_t missing = before - o * stride;
    return missing <= 0 ? 0 : (missing + dilation - 1) / dilation;
  }
  int64_t last(int64_t o) const {
    const int64_t room = in - 1 + before - o * stride;
    return room < 0 ? 0 : std::min(kernel, room / dilation + 1);
  }
};

// Of conv, avg_pool, l2_pool and max_pool. Errors: parameters that do not fit x, and windows for
// which there is no place.
Result<std::vector<WindowAxis>> resolve_conv(const Op& op);
Result<std::vector<WindowAxis>> resolve_pool(const Op& op);
// Of conv_transpose, which does what conv does the other way: `in` and `out` are those of the
// convolution that it inverts, so `out` is the size of its own x and `in` that of its result.
Result<std::vector<WindowAxis>> resolve_conv_transpose(const Op& op);

}  // namespace diptych::mil
