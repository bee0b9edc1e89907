// How the engine rounds. See docs/engine.md for what each choice promises.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diptych::engine {

enum class Numerics : uint8_t {
  Typed,    // every operation's result is rounded to its declared type
  Precise,  // floats stay fp32 between operations; only inputs, outputs and constants are fp16
  // Precise, but linears with quantised weights see activations rounded to int8 in blocks of 32.
  // With fp16 weights, weights and activations are rounded to bf16 where the instruction set has
  // it.
  Fast,
};

std::string_view name(Numerics numerics);
// "typed", "precise" or "fast"; anything else is an error that lists them.
Result<Numerics> numerics_from_name(std::string_view name);

// Finite values that became infinite when they were rounded to fp16.
struct Overflows {
  uint64_t count = 0;
  std::string first_op;  // "mul 'aten_mul_tensor'": where the first one arose; "" if there is none
  // The first weight that an elementwise operation reads at or after that place. Its name tells the
  // layer ("layers_0_attention_norm_weight"). "" when there is none.
  std::string near_weight;

  // Adds the overflows of what ran later, so the first one of *this stays the first.
  Overflows& operator+=(const Overflows& later);
};

}  // namespace diptych::engine
