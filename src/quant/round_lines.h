// The innermost loop of GPTQ: the inputs of a few rows of a matrix are rounded one after another,
// and each hands on what was lost to those that are still to come. Rows do not touch one another,
// so a vector holds one input of several of them.
#pragma once

#include <cstddef>

namespace diptych::quant {

inline constexpr size_t kLinesAtOnce = 16;
inline constexpr size_t kInputsAtOnce = 64;

// An element for each line, input by input.
using LineBlock = float[kInputsAtOnce][kLinesAtOnce];

struct LinesToRound {
  size_t inputs = 0;  // at most kInputsAtOnce
  // U[i, j], the factor's part for these inputs, is at upper[i * upper_stride + j].
  const float* upper = nullptr;
  size_t upper_stride = 0;
  float lowest = 0, highest = 0;  // code

  alignas(64) LineBlock targets;  // what is asked of the inputs; afterwards unspecified
  alignas(64) LineBlock scales;   // by_scale()
  alignas(64) LineBlock codes;    // by_scale() leaves them here
  alignas(64) LineBlock errors;   // what each lost, divided by U[i, i]
  double squares[kLinesAtOnce];   // the sums of the errors' squares
};

// Chooses the values [kLinesAtOnce] that an input has in each line, for targets [kLinesAtOnce].
using ChooseValues = void (*)(void* context, size_t input, const float* targets, float* values);

// Rounds the inputs to the nearest multiples of their scales between the lowest and the highest
// code, or to what `choose` says, and fills in errors and squares. A line's bits depend on that
// line alone and on the instruction set.
void round_by_scale(LinesToRound& lines);
void round_by_choice(LinesToRound& lines, ChooseValues choose, void* context);

}  // namespace diptych::quant
