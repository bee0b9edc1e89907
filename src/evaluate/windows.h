// Cuts a text into windows that a model evaluates one by one, each from an empty cache.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace diptych::evaluate {

// Token targets[i] follows inputs[0..i]; both have one length, from 1 to the window's.
struct Window {
  std::vector<int64_t> inputs, targets;
};

// Every token of `text` is a target exactly once. Windows hold `length` positions, the last one
// what is left. With `bos` each begins with it, so that its first target is predicted from the
// beginning-of-text token alone. Without, the token before takes its place, and the text's first
// token, which nothing precedes, is no target. At most `most_positions` targets in all; 0: all.
std::vector<Window> make_windows(std::span<const int64_t> text, std::optional<int64_t> bos,
                                 int64_t length, int64_t most_positions = 0);

}  // namespace diptych::evaluate
