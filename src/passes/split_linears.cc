#include "passes/split_linears.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace diptych::passes {

namespace {

// Row slices and zeros that are the same object for the same request.
class PieceCache {
 public:
  WeightRef piece(const WeightRef& source, int64_t first, int64_t count) {
    // Pieces of a zero bias are all alike: one for every size and type.
    if (generator_text(*source) == "zeros") {
      TensorType type = source->type();
      type.shape[0] = count;
      WeightRef& known = zeros_[diptych::to_string(type)];
      if (!known) known = zeros(type);
      return known;
    }
    // The slice keeps its source alive, so a source's address is not used again.
    WeightRef& known = slices_[std::make_tuple(source.get(), first, count)];
    if (!known) known = row_slice(source, first, count);
    return known;
  }

 private:
  std::map<std::tuple<const Weight*, int64_t, int64_t>, WeightRef> slices_;
  std::map<std::string, WeightRef> zeros_;
};

bool is_numeric_constant(const mil::Value* value, int64_t rank) {
  return value && value->is_constant() && value->weight && value->type.rank() == rank;
}

Status check_options(const SplitOptions& options) {
  if (options.target_size < 0) {
    return invalid_argument("target split size {}: expected 0 (no split) or more",
                            options.target_size);
  }
  if (options.max_splits < 1) {
    return invalid_argument("at most {} splits: expected 1 or more", options.max_splits);
  }
  return {};
}

Status check_linears(const mil::Program& program) {
  for (const auto& function : program.functions) {
    for (const auto& op : function->ops) {
      if (op->type != "linear") continue;
      const mil::Value* weight = op->operand("weight");
      const mil::Value* bias = op->operand("bias");
      if (!is_numeric_constant(weight, 2) || (bias && !is_numeric_constant(bias, 1))) {
        return invalid_argument(
            "@{}: linear %{}: only constant weights can be split; split before quantising",
            function->name, op->result()->name);
      }
    }
  }
  return {};
}

// Replaces the linear at ops[index] by its pieces and their concat, and returns the concat's index.
size_t split_one(mil::Function& function, size_t index, int64_t pieces, PieceCache& cache) {
  const mil::Op& linear = *function.ops[index];
  mil::Value* whole = linear.result();
  const mil::Value* weight = linear.operand("weight");
  const mil::Value* bias = linear.operand("bias");
  const int64_t size = weight->type.shape[0] / pieces;
  TensorType piece_type = whole->type;
  piece_type.shape.back() = size;

  std::vector<mil::Value*> parts;
  for (int64_t k = 0; k < pieces; ++k) {
    const auto add_piece = [&](const mil::Value* of) {
      return function.add_constant(fmt::format("{}_{}", of->name, k),
                                   cache.piece(of->weight, k * size, size));
    };
    std::vector<mil::Operand> operands{{"x", {linear.operand("x")}},
                                       {"weight", {add_piece(weight)}}};
    if (bias) operands.push_back({"bias", {add_piece(bias)}});
    parts.push_back(function
                        .insert_op(index++, "linear", std::move(operands),
                                   {{fmt::format("{}_{}", whole->name, k), piece_type}})
                        ->result());
  }
  mil::Value* axis =
      function.add_constant(whole->name + "_axis", constant_ints(DType::Int32, {}, {-1}));
  mil::Value* interleave =
      function.add_constant(whole->name + "_interleave", constant_ints(DType::Bool, {}, {0}));
  mil::Value* joined =
      function
          .insert_op(index, "concat",
                     {{"values", parts}, {"axis", {axis}}, {"interleave", {interleave}}},
                     {{whole->name, whole->type}})
          ->result();
  function.replace_uses(whole, joined);
  // The linear itself now stands after the concat.
  const std::string name = whole->name;
  function.rename(whole, name + "_unsplit");
  function.rename(joined, name);
  function.ops.erase(function.ops.begin() + static_cast<std::ptrdiff_t>(index) + 1);
  return index;
}

}  // namespace

int64_t wanted_split_count(int64_t outputs, const SplitOptions& options) {
  if (options.target_size <= 0) return 1;
  return std::clamp<int64_t>(outputs / options.target_size, 1, options.max_splits);
}

int64_t split_count(int64_t outputs, const SplitOptions& options) {
  int64_t pieces = wanted_split_count(outputs, options);
  while (outputs % pieces != 0) --pieces;
  return pieces;
}

Status split_linears(mil::Program& program, const SplitOptions& options) {
  TRY(check_options(options));
  if (options.target_size == 0) return {};
  TRY(check_linears(program));
  PieceCache cache;
  for (const auto& function : program.functions) {
    for (size_t i = 0; i < function->ops.size(); ++i) {
      const mil::Op& op = *function->ops[i];
      if (op.type != "linear") continue;
      if (options.whole.contains(op.operand("weight")->weight.get())) continue;
      const int64_t outputs = op.operand("weight")->type.shape[0];
      i = split_one(*function, i, split_count(outputs, options), cache);
    }
    function->remove_dead();
  }
  return {};
}

}  // namespace diptych::passes
