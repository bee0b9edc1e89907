// What a call of a method must read and compute at least, from its functions alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "generate/model.h"
#include "kernels/arithmetic.h"
#include "mil/ir.h"
#include "runtime/program.h"

namespace diptych::measure {

// Multiply-adds of linears, by the weights for which src/kernels may have dot products in fast
// numerics: of integers, and of bf16 for fp16. All others are fp32's, and so are all in other
// numerics.
using MultiplyAdds = kernels::ByArithmetic<uint64_t>;

struct MethodCost {
  // Packed bytes of the weights that the call reads, each once however many functions use it. Of a
  // table that is only gathered from, the rows gathered. Constants outside the weight file (axes,
  // shapes) do not count.
  uint64_t weight_bytes = 0;
  // For each position evaluated, and once for the call whatever their number: a head computes
  // logits of the last position only, unless the method gives all.
  MultiplyAdds per_position, per_call;
};

// `program` is read again, not executed. `unwanted`: an output of the method that is not computed,
// and with it the delegate calls that serve no other one (Method::want_output).
Result<MethodCost> method_cost(const std::shared_ptr<const runtime::Program>& program,
                               std::string_view method, std::optional<size_t> unwanted = {});

// The same for functions whose weight file lies in `blob`. Linears of as many rows as any has are
// those of all positions.
struct PlacedFunction {
  const mil::Function* function = nullptr;
  Bytes blob;
};
MethodCost functions_cost(const std::vector<PlacedFunction>& functions);

// Bytes of keys and values of one position in all layers, in the type the caches are bound in.
uint64_t cache_bytes_per_position(const generate::ModelDescription& model);

}  // namespace diptych::measure
