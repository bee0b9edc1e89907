// Layers of one kind have the same operations on the same things: what differs is their weights. So
// a file with one function has as many twins as it has layers.
#include <algorithm>
#include <map>

#include "compare/canonical.h"
#include "compare/weights.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

using compare::Canonical;
using compare::Node;
using Kind = Node::Operand::Kind;

constexpr uint64_t kShort = 16;
constexpr uint64_t kLongestVector = 1 << 16;

struct Part {
  size_t node = 0;
  std::string signature;  // what it does, to what in the layer
};
using LayerParts = std::vector<Part>;

// "key cache 3" in layer 3 is "own key cache"; elsewhere it is what it is.
std::string own(const std::string& role, size_t layer) {
  const std::string number = fmt::format(" {}", layer);
  const bool of_a_layer = role.starts_with("key cache") || role.starts_with("value cache") ||
                          role.starts_with("new key") || role.starts_with("new value");
  if (!of_a_layer || !role.ends_with(number)) return role;
  return "own " + role.substr(0, role.size() - number.size());
}

bool is_common(const std::string& role) {
  return role.starts_with("mask") || role.starts_with("cos") || role.starts_with("sin");
}

std::string constant_text(const mil::Value& value) {
  if (value.type.dtype == DType::String) return value.text;
  if (!value.is_constant() || value.weight == nullptr ||
      value.weight->elements() > (is_float(value.type.dtype) ? 1 : kShort)) {
    return "weight " + to_string(value.type.shape);
  }
  std::string text;
  if (is_float(value.type.dtype)) {
    const auto floats = read_floats(*value.weight);
    if (floats) {
      for (const float element : *floats) text += fmt::format("{} ", element);
    }
  } else if (const auto ints = mil::constant_ints(value)) {
    for (const int64_t element : *ints) text += fmt::format("{} ", element);
  }
  return text;
}

// The parts of each layer, in order. A part's signature stands for all that it is computed from
// inside of its layer.
std::vector<LayerParts> parts_of(const Canonical& graph, size_t layers) {
  std::vector<LayerParts> result(layers);
  std::vector<std::string> signatures(graph.nodes.size());
  std::map<std::string, size_t> short_names;
  // Made of masks and position tables alone: of all layers, whichever uses them first.
  std::vector<bool> common(graph.nodes.size());
  std::multimap<size_t, std::string> outputs;
  for (const Canonical::Output& output : graph.outputs) {
    if (output.node) outputs.emplace(*output.node, output.role);
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    common[n] =
        std::all_of(node.operands.begin(), node.operands.end(), [&](const Node::Operand& operand) {
          if (operand.kind == Kind::Node) return static_cast<bool>(common[operand.index]);
          return operand.kind == Kind::Constant || is_common(graph.of->input_roles[operand.index]);
        });
    const auto found = graph.of->layers.of(*node.op);
    if (!common[n] && (!found || *found >= layers)) continue;
    const size_t layer = found.value_or(0);
    std::vector<std::string> operands;
    for (const Node::Operand& operand : node.operands) {
      std::string text;
      if (operand.kind == Kind::Constant) text = constant_text(*operand.value);
      if (operand.kind == Kind::Input) text = own(graph.of->input_roles[operand.index], layer);
      if (operand.kind == Kind::Node) {
        const auto from = graph.of->layers.of(*graph.nodes[operand.index].op);
        text = from == layer || common[operand.index] ? signatures[operand.index] : "outside";
      }
      operands.push_back((node.type == "add" || node.type == "mul" ? "" : operand.param + "=") +
                         text);
    }
    if (node.type == "add" || node.type == "mul") std::sort(operands.begin(), operands.end());
    std::string text = node.type;
    for (const std::string& operand : operands) text += "," + operand;
    const auto [begin, end] = outputs.equal_range(n);
    for (auto output = begin; output != end; ++output) text += " -> " + own(output->second, layer);
    // Numbers in place of texts that would double with each operation.
    signatures[n] = fmt::format("#{}", short_names.emplace(text, short_names.size()).first->second);
    if (!common[n]) result[layer].push_back({n, signatures[n]});
  }
  return result;
}

std::string joined(const LayerParts& parts) {
  std::vector<std::string> signatures;
  for (const Part& part : parts) signatures.push_back(part.signature);
  std::sort(signatures.begin(), signatures.end());
  std::string text;
  for (const std::string& signature : signatures) text += signature;
  return text;
}

// The first part that the usual layer does not have, or the first of the usual that this one lacks.
void tell_outlier(const Canonical& graph, const LayerParts& odd, const LayerParts& usual,
                  size_t layer, size_t usual_layer, Report& report) {
  std::multimap<std::string, size_t> left;
  for (const Part& part : usual) left.emplace(part.signature, part.node);
  for (const Part& part : odd) {
    const auto found = left.find(part.signature);
    if (found != left.end()) {
      left.erase(found);
      continue;
    }
    report.find(graph.of->place(*graph.nodes[part.node].op),
                fmt::format("layer {} has no such operation on the same values", usual_layer));
    return;
  }
  for (const Part& part : usual) {
    const auto found = left.find(part.signature);
    if (found == left.end()) continue;
    report.find(fmt::format("{}, layer {}", graph.of->graph.name, layer),
                fmt::format("lacks what layer {} has, {}", usual_layer,
                            graph.of->place(*graph.nodes[part.node].op)));
    return;
  }
}

bool is_constant_vector(const mil::Value& value) {
  if (!value.is_constant() || value.weight == nullptr || !is_float(value.type.dtype) ||
      value.weight->elements() < 2 || value.weight->elements() > kLongestVector) {
    return false;
  }
  const auto elements = read_floats(*value.weight);
  return elements && std::all_of(elements->begin(), elements->end(),
                                 [&](float element) { return element == elements->front(); });
}

// Vectors that are one number in one layer and none in the others; weights of two layers.
void check_weights(const Canonical& graph, const std::vector<size_t>& layers,
                   const std::vector<LayerParts>& parts, Report& report) {
  std::map<std::string, std::vector<std::pair<size_t, const Node*>>> by_signature;
  std::map<const Weight*, size_t> layer_of_weight;
  for (const size_t layer : layers) {
    for (const Part& part : parts[layer]) {
      const Node& node = graph.nodes[part.node];
      if (node.type == "mul") by_signature[part.signature].emplace_back(layer, &node);
      if (node.pieces.empty()) continue;
      const mil::Value* weight = node.pieces.front()->operand("weight");
      if (weight == nullptr) continue;
      const mil::Value* stored =
          weight->is_constant() ? weight : weight->producer->operands.front().values.front();
      const auto [at, is_new] = layer_of_weight.emplace(stored->weight.get(), layer);
      if (!is_new && at->second != layer) {
        report.find(graph.of->place(*node.op),
                    fmt::format("computes with a weight of layer {}", at->second));
      }
    }
  }
  for (const auto& [signature, nodes] : by_signature) {
    std::vector<const Node*> odd;
    for (const auto& [layer, node] : nodes) {
      for (const Node::Operand& operand : node->operands) {
        if (operand.kind == Kind::Constant && is_constant_vector(*operand.value))
          odd.push_back(node);
      }
    }
    if (odd.empty() || nodes.size() < 3 || odd.size() * 3 > nodes.size()) continue;
    for (const Node* node : odd) {
      report.find(graph.of->place(*node->op),
                  "multiplies by a vector of one number, as no other layer does");
    }
  }
}

}  // namespace

Status check_layers(Subject& subject, Report& report, Progress&) {
  const contract::Description* model = subject.model();
  if (model->layers() < 2) {
    report.does_not_apply("there is one layer");
    return {};
  }
  size_t operations = 0;
  for (const auto& function : subject.opened.functions) {
    if (function->contract == nullptr) continue;
    const Canonical graph = compare::canonical(*function);
    const contract::Description& own = function->variant->model;
    const std::vector<LayerParts> parts = parts_of(graph, own.layers());
    std::map<std::pair<size_t, std::optional<size_t>>, std::vector<size_t>> kinds;
    for (size_t layer = 0; layer < own.layers(); ++layer) {
      kinds[{own.class_of_layer[layer], own.rope_of_layer[layer]}].push_back(layer);
      operations += parts[layer].size();
    }
    for (const auto& [kind, layers] : kinds) {
      std::map<std::string, std::vector<size_t>> forms;
      for (const size_t layer : layers) forms[joined(parts[layer])].push_back(layer);
      const auto usual = std::max_element(
          forms.begin(), forms.end(),
          [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
      for (const auto& [form, alike] : forms) {
        if (form == usual->first) continue;
        for (const size_t layer : alike) {
          tell_outlier(graph, parts[layer], parts[usual->second.front()], layer,
                       usual->second.front(), report);
        }
      }
      check_weights(graph, layers, parts, report);
    }
  }
  report.note(fmt::format("{} operations in layers", operations));
  return {};
}

}  // namespace diptych::verify
