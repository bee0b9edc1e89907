// Rules about which operations there are.
#include <algorithm>
#include <unordered_set>

#include "lint/rule.h"

namespace diptych::lint {

namespace {

template <size_t N>
bool is_one_of(std::string_view type, const std::string_view (&types)[N]) {
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

// Finds operations of these types.
template <size_t N>
void of_types(const mil::Function& function, const std::string_view (&types)[N], Sites& sites) {
  for (const auto& op : function.ops) {
    if (!is_one_of(op->type, types) || op->results.empty()) continue;
    sites.push_back(at(*op, bytes_of(*op->results.front()), to_string(op->results.front()->type)));
  }
}

uint64_t weight_bytes(const mil::Op& op, std::string_view param) {
  const mil::Value* weight = op.operand(param);
  return weight == nullptr ? 0 : bytes_of(*weight);
}

// Tables of this many rows are embeddings.
constexpr int64_t kEmbeddingRows = 256;

}  // namespace

void linears(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "linear") continue;
    const mil::Value* weight = op->operand("weight");
    if (weight == nullptr) continue;
    sites.push_back(at(*op, weight_bytes(*op, "weight"), to_string(weight->type)));
  }
}

void matmuls_by_weights(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "matmul") continue;
    for (const std::string_view param : {"x", "y"}) {
      const mil::Value* value = op->operand(param);
      if (value == nullptr || !is_weight(*value) || value->type.rank() != 2) continue;
      sites.push_back(at(*op, bytes_of(*value), to_string(value->type)));
      break;
    }
  }
}

void recurrences(const Subject&, const mil::Function& function, Sites& sites) {
  constexpr std::string_view kTypes[] = {"lstm", "gru", "rnn"};
  of_types(function, kTypes, sites);
}

void gathers_of_points(const Subject&, const mil::Function& function, Sites& sites) {
  constexpr std::string_view kTypes[] = {"gather_nd", "gather_along_axis", "scatter_nd",
                                         "scatter_along_axis"};
  of_types(function, kTypes, sites);
}

void shapes_from_data(const Subject&, const mil::Function& function, Sites& sites) {
  constexpr std::string_view kTypes[] = {"non_zero", "non_maximum_suppression", "shape", "range_1d",
                                         "fill"};
  of_types(function, kTypes, sites);
}

void states(const Subject&, const mil::Function& function, Sites& sites) {
  constexpr std::string_view kTypes[] = {"read_state", "write_state", "coreml_update_state",
                                         "make_state"};
  of_types(function, kTypes, sites);
}

void attention_in_one(const Subject&, const mil::Function& function, Sites& sites) {
  constexpr std::string_view kTypes[] = {"scaled_dot_product_attention"};
  of_types(function, kTypes, sites);
}

// x - mean(x), its square's mean, the root: what layer_norm does in one operation.
void norms_in_pieces(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "reduce_mean") continue;
    const mil::Value* x = op->operand("x");
    if (x == nullptr || x->producer == nullptr) continue;
    const mil::Op& square = *x->producer;
    if (square.type != "square" &&
        !(square.type == "mul" && square.operand("x") == square.operand("y"))) {
      continue;
    }
    const mil::Value* centred = square.operand("x");
    if (centred == nullptr || centred->producer == nullptr || centred->producer->type != "sub")
      continue;
    const mil::Value* mean = centred->producer->operand("y");
    if (mean == nullptr || mean->producer == nullptr || mean->producer->type != "reduce_mean")
      continue;
    sites.push_back(at(*op, bytes_of(*centred), to_string(centred->type)));
  }
}

void embeddings_beside_linears(const Subject&, const mil::Function& function, Sites& sites) {
  if (!has_projections(function)) return;
  for (const mil::Op* op : computed(function)) {
    if (op->type != "gather") continue;
    const mil::Value* table = op->operand("x");
    if (table == nullptr || !is_weight(*table) || table->type.rank() < 2 ||
        table->type.shape[0] < kEmbeddingRows) {
      continue;
    }
    sites.push_back(at(*op, bytes_of(*table), to_string(table->type)));
  }
}

void scales_of_groups(const Subject&, const mil::Function& function, Sites& sites) {
  for (const auto& op : function.ops) {
    if (op->type != "constexpr_blockwise_shift_scale") continue;
    const mil::Value *data = op->operand("data"), *scale = op->operand("scale");
    if (data == nullptr || scale == nullptr || data->type.rank() < 2 ||
        scale->type.rank() != data->type.rank()) {
      continue;
    }
    if (bit_width(data->type.dtype) > 4 || scale->type.shape.back() == 1) continue;
    sites.push_back(
        at(*op, bytes_of(*data),
           fmt::format("{} scales a row of {}", scale->type.shape.back(), to_string(data->type))));
  }
}

void unread_inputs(const Subject&, const mil::Function& function, Sites& sites) {
  std::unordered_set<const mil::Value*> read(function.outputs.begin(), function.outputs.end());
  for (const auto& op : function.ops) {
    for (const mil::Operand& operand : op->operands) {
      read.insert(operand.values.begin(), operand.values.end());
    }
  }
  for (const mil::Value* input : function.inputs) {
    if (read.count(input) > 0) continue;
    sites.push_back(at(*input, bytes_of(*input), to_string(input->type)));
  }
}

}  // namespace diptych::lint
