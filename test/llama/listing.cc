#include "listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

#include "base/file.h"
#include "base/half.h"
#include "base/hash.h"

namespace diptych::llama {
namespace {

using Node = Flow::Node;

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  size_t at = 0;
  for (size_t next; (next = text.find(separator, at)) != std::string::npos;
       at = next + separator.size()) {
    parts.push_back(text.substr(at, next - at));
  }
  parts.push_back(text.substr(at));
  return parts;
}

// "begin=a, values=[b, c], x=d" -> operands.
std::map<std::string, std::vector<std::string>> parse_operands(const std::string& text) {
  std::map<std::string, std::vector<std::string>> operands;
  static const std::regex kOperand(R"((\w+)=(\[[^\]]*\]|[^,]+))");
  for (std::sregex_iterator it(text.begin(), text.end(), kOperand), end; it != end; ++it) {
    std::string value = (*it)[2];
    if (value.front() == '[') value = value.substr(1, value.size() - 2);
    operands[(*it)[1]] = split(value, ", ");
  }
  return operands;
}

// The name that our weight of the same role has: without wrappers, split pieces and prefixes.
std::string role(const std::string& name) {
  static const std::regex kNoise("^p_|_block(?=_)|_ops_0"), kList("_(w[qkv])s_0");
  if (name.find("linear_") == 0) return "zero";
  return std::regex_replace(std::regex_replace(name, kNoise, ""), kList, "_$1");
}

// "fp16bytes:a800", "fp32(0.5)" or "int32[2](1,2)" -> the value as flow_of() writes it.
std::string literal(const std::string& text) {
  constexpr std::string_view kHalf = "fp16bytes:";
  if (text.starts_with(kHalf)) {
    const auto hex = static_cast<uint16_t>(std::stoul(text.substr(kHalf.size()), nullptr, 16));
    return fmt::format("{}", half_to_float(static_cast<uint16_t>(hex << 8 | hex >> 8)));
  }
  const size_t open = text.find('(');
  std::string value = text.substr(open + 1, text.size() - open - 2);
  if (text.starts_with("fp32")) return fmt::format("{}", std::stof(value));
  if (text.starts_with("string")) return value.substr(1, value.size() - 2);
  std::string numbers;
  for (const std::string& word : split(value, ",")) {
    numbers += (word == "True" ? "1" : word == "False" ? "0" : word) + ",";
  }
  return numbers;
}

Node parse_op(const std::string& name, const std::smatch& line) {
  Node node{line[3], line[2], {}, {}};
  const std::string attributes = line[5];
  if (node.op == "constexpr_blockwise_shift_scale") {
    return {"const", node.type, "weight " + role(name), {}};
  }
  if (node.op == "const") {
    static const std::regex kValue(R"(\{val=(.*)\})");
    std::smatch value;
    if (!std::regex_search(attributes, value, kValue)) return node;
    const std::string text = value[1];
    node.text = text.find("blob@") != std::string::npos ? "weight " + role(name) : literal(text);
    return node;
  }
  node.operands = parse_operands(line[4]);
  return node;
}

std::string value_text(const mil::Value& value) {
  if (value.type.dtype == DType::String) return value.text;
  const bool zero = value.name.starts_with("zero_bias");
  if (value.weight->elements() > 16 || value.name.find("_weight") != std::string::npos ||
      value.name.find("_bias") != std::string::npos) {
    return zero ? "weight zero" : "weight " + value.name;
  }
  if (is_float(value.type.dtype)) return fmt::format("{}", read_floats(*value.weight).value()[0]);
  std::string numbers;
  const auto elements = read_ints(*value.weight).value();
  for (const int64_t element : elements) numbers += fmt::format("{},", element);
  return numbers;
}

// Digests nodes so that equal digests mean equal computations.
class Digester {
 public:
  Digester(const Flow& flow, const Comparison& comparison) : flow_(flow), comparison_(comparison) {}

  uint64_t digest(const std::string& name) {
    const auto known = digests_.find(name);
    if (known != digests_.end()) return known->second;
    const Node& node = flow_.nodes.at(name);
    return digests_[name] = compute(node);
  }

 private:
  uint64_t compute(const Node& node) {
    if (node.op == "concat" && node.operands.at("values").size() == 1) {
      return digest(node.operands.at("values").front());
    }
    Hasher hasher;
    hasher.add(node.op);
    hasher.add(node.type);
    const bool nameless = node.text.starts_with("weight ") && !comparison_.weight_names;
    hasher.add(nameless ? std::string_view("weight") : std::string_view(node.text));
    for (const auto& [param, values] : node.operands) {
      // Where end_mask is set, upstream's `end` holds numbers that mean nothing; the type tells.
      if (node.op == "slice_by_index" && param == "end") continue;
      hasher.add(param);
      for (const std::string& value : values) hasher.add(digest(value));
    }
    return hasher.digest()[0];
  }

  const Flow& flow_;
  const Comparison& comparison_;
  std::map<std::string, uint64_t> digests_;
};

std::string shown(const std::string& name, const Node& node) {
  std::string text = fmt::format("{}: {} = {}(", name, node.type, node.op);
  for (const auto& [param, values] : node.operands) {
    text += fmt::format("{}={} ", param, fmt::join(values, ","));
  }
  return text + node.text + ")";
}

std::vector<std::string> types(const Flow& flow, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const std::string& name : names) found.push_back(flow.nodes.at(name).type);
  return found;
}

}  // namespace

Result<std::vector<Flow>> read_listing(const std::string& path) {
  const std::string text = TRY(read_text_file(path));
  static const std::regex kOp(R"(^  (\w+): (\S+) = (\w+)\((.*?)\)( \{.*\})?$)");
  std::vector<Flow> flows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (line.starts_with("function ")) {
      flows.emplace_back().name = split(line, " ")[1];
    } else if (line.starts_with("  inputs: ")) {
      for (const std::string& input : split(line.substr(10), ", ")) {
        const auto parts = split(input, ": ");
        flows.back().inputs.push_back(parts[0]);
        flows.back().nodes[parts[0]] = {"", parts[1], parts[0], {}};
      }
    } else if (line.starts_with("  outputs: ")) {
      flows.back().outputs = split(line.substr(11), ", ");
    } else if (std::regex_match(line, match, kOp)) {
      const std::string name = match[1];
      flows.back().nodes[name] = parse_op(name, match);
      const std::string op = flows.back().nodes[name].op;
      if (op != "const") flows.back().order.push_back(name);
    } else if (!line.empty()) {
      return invalid_data("{}: cannot read the line {}", path, line.substr(0, 80));
    }
  }
  return flows;
}

Flow flow_of(const mil::Function& function) {
  Flow flow;
  flow.name = function.name;
  for (const mil::Value* input : function.inputs) {
    flow.inputs.push_back(input->name);
    flow.nodes[input->name] = {"", to_string(input->type), input->name, {}};
  }
  for (const mil::Value* constant : function.constants()) {
    flow.nodes[constant->name] = {"const", to_string(constant->type), value_text(*constant), {}};
  }
  for (const auto& op : function.ops) {
    Node node{op->type, to_string(op->result()->type), {}, {}};
    for (const mil::Operand& operand : op->operands) {
      for (const mil::Value* value : operand.values) {
        node.operands[operand.param].push_back(value->name);
      }
    }
    flow.order.push_back(op->result()->name);
    flow.nodes[op->result()->name] = std::move(node);
  }
  for (const mil::Value* output : function.outputs) flow.outputs.push_back(output->name);
  return flow;
}

std::map<std::string, int> histogram(const Flow& flow) {
  std::map<std::string, int> counts;
  for (const std::string& name : flow.order) {
    const Node& node = flow.nodes.at(name);
    if (node.op == "concat" && node.operands.at("values").size() == 1) continue;
    ++counts[node.op + " " + node.type];
  }
  return counts;
}

std::string difference(const Flow& ours, const Flow& theirs, const Comparison& comparison) {
  if (ours.inputs != theirs.inputs) {
    return fmt::format("inputs: {}\n  upstream: {}", fmt::join(ours.inputs, " "),
                       fmt::join(theirs.inputs, " "));
  }
  if (types(ours, ours.inputs) != types(theirs, theirs.inputs)) return "types of inputs";
  if (types(ours, ours.outputs) != types(theirs, theirs.outputs)) return "types of outputs";

  Digester our_digests(ours, comparison), their_digests(theirs, comparison);
  std::set<uint64_t> known;
  for (const auto& [name, node] : ours.nodes) known.insert(our_digests.digest(name));
  for (const std::string& name : theirs.order) {
    if (known.contains(their_digests.digest(name))) continue;
    std::string text = shown(name, theirs.nodes.at(name));
    for (const auto& [param, values] : theirs.nodes.at(name).operands) {
      for (const std::string& value : values) {
        text += "\n    " + shown(value, theirs.nodes.at(value)) +
                (known.contains(their_digests.digest(value)) ? "" : "   <- not ours");
      }
    }
    return "upstream has " + text;
  }
  for (size_t i = 0; i < ours.outputs.size(); ++i) {
    if (our_digests.digest(ours.outputs[i]) != their_digests.digest(theirs.outputs[i])) {
      return fmt::format("output {}: {} is not {}", i, ours.outputs[i], theirs.outputs[i]);
    }
  }
  return "";
}

}  // namespace diptych::llama
