// Cuts a text into windows that a model evaluates one by one, each from an empty cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace diptych::evaluate {

// Token targets[i] follows `lead` and inputs[0..i]. `inputs` and `targets` have the same length, at
// least 1.
struct Window {
  std::vector<int64_t> inputs, targets;
  std::vector<int64_t> lead = {};
};

// Makes every token of `text` a target exactly once. Windows hold `length` positions; the last one
// holds what is left. Each begins with `prefix`, which the tokenizer puts before a text, so its
// first target is predicted from the prefix alone. Of a prefix of several tokens, all but the last
// are the lead. Without a prefix, the token before the window takes its place, and the first token
// of the text is no target. `most_positions` limits the number of targets; 0 takes all. Returns no
// windows when `length` leaves no room.
std::vector<Window> make_windows(std::span<const int64_t> text, std::span<const int64_t> prefix,
                                 int64_t length, int64_t most_positions = 0);

// The windows of one of `parts` parts that are as equal as can be, in order; `part` counts from 0.
// Parts are empty where there are more of them than windows.
std::vector<Window> part_of(std::vector<Window> windows, int64_t part, int64_t parts);

}  // namespace diptych::evaluate
