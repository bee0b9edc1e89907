#include "compare/canonical.h"

#include <algorithm>
#include <unordered_set>

namespace diptych::compare {

namespace {

bool only_changes_form(const mil::Op& op) {
  if (op.type == "identity") return true;
  if (op.type == "cast") {
    const mil::Value* x = op.operand("x");
    if (x == nullptr) return false;
    const DType from = x->type.dtype, to = op.result()->type.dtype;
    return (is_float(from) && is_float(to)) || (is_integer(from) && is_integer(to));
  }
  return (op.type == "concat" || op.type == "diptych.graph_break") &&
         op.operand_list("values").size() == 1;
}

const mil::Value* origin(const mil::Value* value);

// What some exporters make of indices that may count from the end, i >= 0 ? i : i + n.
struct WrappedIndex {
  const mil::Value* index = nullptr;  // i; null: the operation is none such
  const mil::Op* is_positive = nullptr;
  const mil::Op* from_end = nullptr;
};
WrappedIndex wrapped_index(const mil::Op& op) {
  if (op.type != "select") return {};
  const mil::Value *cond = op.operand("cond"), *a = op.operand("a"), *b = op.operand("b");
  if (cond == nullptr || a == nullptr || b == nullptr || !is_integer(a->type.dtype)) return {};
  const mil::Op *is_positive = origin(cond)->producer, *from_end = origin(b)->producer;
  if (is_positive == nullptr || is_positive->type != "greater_equal" || from_end == nullptr ||
      from_end->type != "add") {
    return {};
  }
  const mil::Value *compared = is_positive->operand("x"), *zero = is_positive->operand("y"),
                   *moved = from_end->operand("x"), *count = from_end->operand("y");
  if (compared == nullptr || zero == nullptr || moved == nullptr || count == nullptr) return {};
  const auto number = mil::constant_int(*zero);
  if (!number || *number != 0 || !count->is_constant() || origin(compared) != origin(a) ||
      origin(moved) != origin(a)) {
    return {};
  }
  return {origin(a), is_positive, from_end};
}

// The value that a chain of operations starts from that only change its form.
const mil::Value* origin(const mil::Value* value) {
  while (value->producer != nullptr) {
    const mil::Op& op = *value->producer;
    if (only_changes_form(op)) {
      value = op.operand("x") != nullptr ? op.operand("x") : op.operand_list("values").front();
    } else if (const WrappedIndex wrapped = wrapped_index(op); wrapped.index != nullptr) {
      value = wrapped.index;
    } else {
      break;
    }
  }
  return value;
}

// The linears that a concat joins along the last axis; empty if it is none of these.
std::vector<const mil::Op*> pieces_of(const mil::Op& op) {
  if (op.type != "concat" || op.operand_list("values").size() < 2) return {};
  const mil::Value* axis = op.operand("axis");
  const auto number = axis == nullptr ? Result<int64_t>(0) : mil::constant_int(*axis);
  if (!number || (*number != -1 && *number != op.result()->type.rank() - 1)) return {};
  std::vector<const mil::Op*> pieces;
  const mil::Value* x = nullptr;
  for (const mil::Value* value : op.operand_list("values")) {
    const mil::Op* piece = origin(value)->producer;
    if (piece == nullptr || piece->type != "linear") return {};
    if (x != nullptr && x != origin(piece->operand("x"))) return {};
    x = origin(piece->operand("x"));
    pieces.push_back(piece);
  }
  return pieces;
}

// The operations that stand for no node: pieces of linears, and what wraps indices and does nothing
// else.
std::unordered_set<const mil::Op*> parts_of_others(const mil::Function& graph) {
  std::unordered_map<const mil::Value*, size_t> uses;
  for (const auto& op : graph.ops) {
    for (const mil::Operand& operand : op->operands) {
      for (const mil::Value* value : operand.values) ++uses[value];
    }
  }
  std::unordered_set<const mil::Op*> parts;
  for (const auto& op : graph.ops) {
    for (const mil::Op* piece : pieces_of(*op)) parts.insert(piece);
    const WrappedIndex wrapped = wrapped_index(*op);
    if (wrapped.index == nullptr) continue;
    parts.insert(op.get());
    for (const mil::Op* part : {wrapped.is_positive, wrapped.from_end}) {
      if (uses[part->result()] == 1) parts.insert(part);
    }
  }
  return parts;
}

}  // namespace

Canonical canonical(const Function& function) {
  const mil::Function& graph = function.function();
  Canonical result;
  result.of = &function;
  std::unordered_map<const mil::Value*, std::pair<size_t, size_t>> node_of;  // and which result
  std::unordered_map<const mil::Value*, size_t> input_of;
  for (size_t i = 0; i < graph.inputs.size(); ++i) input_of[graph.inputs[i]] = i;
  const std::unordered_set<const mil::Op*> parts = parts_of_others(graph);
  for (const auto& op : graph.ops) {
    if (op->results.empty() || mil::is_constant_expression(*op) || only_changes_form(*op) ||
        parts.count(op.get()) > 0) {
      continue;
    }
    Node node;
    node.op = op.get();
    node.type = op->type;
    node.result = op->results.front();
    node.pieces = pieces_of(*op);
    if (op->type == "linear") node.pieces = {op.get()};
    const mil::Op& reads = node.pieces.empty() ? *op : *node.pieces.front();
    if (!node.pieces.empty()) node.type = "linear";
    const auto add = [&](const std::string& param, const mil::Value* value) {
      Node::Operand operand;
      operand.param = param;
      value = origin(value);
      operand.value = value;
      if (const auto known = node_of.find(value); known != node_of.end()) {
        operand.kind = Node::Operand::Kind::Node;
        std::tie(operand.index, operand.result) = known->second;
      } else if (const auto input = input_of.find(value); input != input_of.end()) {
        operand.kind = Node::Operand::Kind::Input;
        operand.index = input->second;
      }
      node.operands.push_back(std::move(operand));
    };
    for (const mil::Operand& operand : reads.operands) {
      for (size_t i = 0; i < operand.values.size(); ++i) {
        add(operand.values.size() == 1 ? operand.param : fmt::format("{}[{}]", operand.param, i),
            operand.values[i]);
      }
    }
    for (size_t i = 0; i < op->results.size(); ++i) {
      node_of[op->results[i]] = {result.nodes.size(), i};
    }
    result.nodes.push_back(std::move(node));
  }
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const auto found = node_of.find(origin(graph.outputs[i]));
    result.outputs.push_back(
        {found == node_of.end() ? std::nullopt : std::optional(found->second.first),
         function.output_roles[i]});
  }
  result.uses.resize(result.nodes.size());
  for (size_t n = 0; n < result.nodes.size(); ++n) {
    for (size_t o = 0; o < result.nodes[n].operands.size(); ++o) {
      const Node::Operand& operand = result.nodes[n].operands[o];
      if (operand.kind == Node::Operand::Kind::Node) result.uses[operand.index].emplace_back(n, o);
    }
  }
  return result;
}

}  // namespace diptych::compare
