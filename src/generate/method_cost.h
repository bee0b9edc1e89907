// What a call of a method must read and compute at least, from what its steps say of themselves.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "contract/reader.h"
#include "engine/executable.h"
#include "kernels/arithmetic.h"
#include "runtime/program.h"

namespace diptych::generate {

// Multiply-adds of linears, by what they are computed in.
using MultiplyAdds = kernels::ByArithmetic<uint64_t>;

struct MethodCost {
  // Packed bytes of the weights that the call reads, each once however many functions use it. Of a
  // table that is only gathered from, the rows gathered. Single numbers do not count, nor do the
  // constants that say what an operation does (axes, shapes).
  uint64_t weight_bytes = 0;
  // For each token evaluated, and once for the call whatever their number: a head computes logits
  // of the last token only, unless the method gives all.
  MultiplyAdds per_token, per_call;
};

// Of one call of a method of `program`, which is loaded for it, as the numerics compute it.
// Without logits, the functions that serve no other output are left out (Method::want_output).
Result<MethodCost> method_cost(runtime::Program& program, const contract::Function& function,
                               bool with_logits = true);

// The same for functions that are called one after the other: the sum of what their steps say.
MethodCost cost_of(const std::vector<const engine::Executable*>& functions);

// Bytes of keys and values that a token sees in the caches of all layers when so many positions
// come before it, in the type the caches are bound in.
uint64_t cache_bytes_seen(const contract::Description& model, int64_t positions);

}  // namespace diptych::generate
