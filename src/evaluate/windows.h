// Cuts a text into windows that a model evaluates one by one, each from an empty cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace diptych::evaluate {

// Token targets[i] follows inputs[0..i], which come after `lead`; both have one length, at least 1.
struct Window {
  std::vector<int64_t> inputs, targets;
  std::vector<int64_t> lead = {};
};

// Every token of `text` is a target exactly once. Windows hold `length` positions, the last one
// what is left. Each begins with `prefix`, what the tokenizer puts before a text, so that its first
// target is predicted from that alone; of more than one token all but the last are its lead.
// Without, the token before takes its place, and the text's first token, which nothing precedes,
// is no target. At most `most_positions` targets in all; 0: all. None when `length` leaves no room.
std::vector<Window> make_windows(std::span<const int64_t> text, std::span<const int64_t> prefix,
                                 int64_t length, int64_t most_positions = 0);

}  // namespace diptych::evaluate
