#include "generate/method_cost.h"

#include <algorithm>
#include <map>
#include <optional>

#include "runtime/method.h"

namespace diptych::generate {

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

Result<MethodCost> method_cost(runtime::Program& program, const contract::Function& function,
                               bool with_logits) {
  const auto method = TRY(program.load_method(
      function.method.name,
      runtime::TokenInput{function.places.tokens, contract::Places::kTokenAxis}));
  TRY(method->want_output(function.places.logits, with_logits));
  return cost_of(method->functions());
}

uint64_t cache_bytes_seen(const contract::Description& model, int64_t positions) {
  uint64_t rows = 0;
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    const std::optional<int64_t> window = model.class_of(layer).window;
    rows += static_cast<uint64_t>(window ? std::min(positions, *window - 1) : positions);
  }
  return 2 * rows * static_cast<uint64_t>(model.kv_heads * model.head_dim) *
         static_cast<uint64_t>(bit_width(model.dtype)) / 8;
}

}  // namespace diptych::generate
