#include <algorithm>

#include "engine/fuse/fuse.h"
#include "engine/fuse/match.h"

namespace diptych::engine {

Status widen_means(mil::Function& function) {
  for (mil::Value*& output : function.outputs) {
    mil::Op* mean = made_by(output, "reduce_mean");
    if (mean == nullptr || !is_integer(output->type.dtype)) continue;
    const auto at =
        static_cast<size_t>(std::find_if(function.ops.begin(), function.ops.end(),
                                         [&](const auto& op) { return op.get() == mean; }) -
                            function.ops.begin());
    mil::Value* x = mean->operand("x");
    mil::Value* dtype = function.add_string(output->name + "_dtype", "fp32");
    mil::Value* wide = function
                           .insert_op(at, "cast", {{"x", {x}}, {"dtype", {dtype}}},
                                      {{x->name + "_wide", {DType::F32, x->type.shape}}})
                           ->result();
    std::vector<mil::Operand> operands = mean->operands;
    for (mil::Operand& operand : operands) {
      if (operand.param == "x") operand.values = {wide};
    }
    const std::string name = output->name;
    function.rename(output, name + "_whole");
    output = function
                 .insert_op(at + 1, "reduce_mean", std::move(operands),
                            {{name, {DType::F32, output->type.shape}}})
                 ->result();
  }
  function.remove_dead();
  return {};
}

}  // namespace diptych::engine
