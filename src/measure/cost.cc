#include "measure/cost.h"

#include <algorithm>
#include <map>

#include "runtime/method.h"

namespace diptych::measure {

MethodCost cost_of(const std::vector<const engine::Executable*>& functions) {
  MethodCost cost;
  std::map<const void*, uint64_t> weights;  // bytes read of each, by its place
  for (const engine::Executable* function : functions) {
    for (size_t i = 0; i < function->step_count(); ++i) {
      const engine::StepWork work = function->step(i).work;
      for (const engine::WeightRead& read : work.weights) {
        uint64_t& most = weights[read.place];
        most = std::max(most, read.bytes);
      }
      MultiplyAdds& sum = work.rows.are_tokens ? cost.per_token : cost.per_call;
      const auto rows = work.rows.are_tokens ? 1 : static_cast<uint64_t>(work.rows.count);
      for (const kernels::Arithmetic arithmetic : kernels::kArithmetics) {
        sum[arithmetic] += rows * work.row_multiply_adds[arithmetic];
      }
    }
  }
  for (const auto& [place, bytes] : weights) cost.weight_bytes += bytes;
  return cost;
}

Result<MethodCost> method_cost(runtime::Program& program,
                               const generate::FunctionDescription& function, bool with_logits) {
  const auto method =
      TRY(program.load_method(function.method, runtime::TokenInput{function.tokens_input, 1}));
  TRY(method->want_output(function.logits_output, with_logits));
  return cost_of(method->functions());
}

uint64_t cache_bytes_per_position(const generate::ModelDescription& model) {
  return 2 * static_cast<uint64_t>(model.layers * model.kv_heads * model.head_dim) *
         static_cast<uint64_t>(bit_width(model.dtype)) / 8;
}

}  // namespace diptych::measure
