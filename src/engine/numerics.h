// How the engine rounds. See docs/engine.md for what each choice promises.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diptych::engine {

enum class Numerics : uint8_t {
  Typed,    // every operation's result is rounded to its declared type, literally
  Precise,  // floats stay fp32 between operations; fp16 only at inputs, outputs and constants
  // As precise, but linears see their activations rounded to int8 in blocks of 32, or with weights
  // of fp16 both rounded to bf16 where the instruction set has it.
  Fast,
};

std::string_view name(Numerics numerics);
// "typed", "precise" or "fast"; anything else is an error that lists them.
Result<Numerics> numerics_from_name(std::string_view name);

// Finite values that became infinite when they were rounded to fp16.
struct Overflows {
  uint64_t count = 0;
  std::string first_op;  // "mul 'aten_mul_tensor'": operation and result of the first; "" if none
  // The next weight that an elementwise operation at or after that one reads, which tells the
  // layer ("layers_0_attention_norm_weight"); "" when there is none.
  std::string near_weight;

  // Adds those of what ran later: the first of all stays the first.
  Overflows& operator+=(const Overflows& later);
};

}  // namespace diptych::engine
