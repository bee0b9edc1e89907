#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "mil/op_table.h"
#include "mil/text.h"
#include "mil/text_literal.h"

namespace diptych::mil {
namespace {

// Constants of up to this many elements stand where they are used.
constexpr uint64_t kMaxInlineElements = 16;

std::string sigil_name(char sigil, std::string_view name) {
  return sigil + (is_plain_name(name) ? std::string(name) : quote(name));
}

std::string value_name(const Value& value) { return sigil_name('%', value.name); }

std::string declaration(const Value& value) {
  return value_name(value) + ": " + to_string(value.type);
}

// An operation's type or a parameter: bare when it cannot be taken for something else.
std::string word(std::string_view text) {
  const bool digit_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
  return is_plain_name(text) && !digit_first && text[0] != '.' && !is_keyword(text)
             ? std::string(text)
             : quote(text);
}

std::string join(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool is_inline(const Value& value) {
  if (!value.is_constant()) return false;
  return value.type.dtype == DType::String ||
         (value.weight != nullptr && value.weight->elements() <= kMaxInlineElements);
}

// "int32[2](1,-1)"; "" when the contents cannot be read.
std::string literal(const Value& constant) {
  if (constant.type.dtype == DType::String) return quote(constant.text);
  const auto elements = read_elements(*constant.weight);
  if (!elements) return {};
  std::vector<std::string> texts;
  for (const uint64_t bits : *elements) texts.push_back(print_element(constant.type.dtype, bits));
  return fmt::format("{}({})", to_string(constant.type), fmt::join(texts, ","));
}

class Printer {
 public:
  explicit Printer(const Function& function)
      : function_(function), outputs_(function.outputs.begin(), function.outputs.end()) {}

  std::string run() {
    std::vector<std::string> inputs;
    for (const Value* input : function_.inputs) inputs.push_back(declaration(*input));
    text_ = fmt::format("func {}({}) opset {} {{\n", sigil_name('@', function_.name), join(inputs),
                        quote(function_.opset));
    for (const Value* constant : function_.constants()) print_constant(*constant);
    for (const auto& op : function_.ops) print_op(*op);

    std::vector<std::string> outputs;
    for (const Value* output : function_.outputs) outputs.push_back(value_name(*output));
    text_ += fmt::format("  return{}{}\n}}\n", outputs.empty() ? "" : " ", join(outputs));
    return std::move(text_);
  }

 private:
  // Large constants and those that are outputs are declared; the others stand where they are used.
  void print_constant(const Value& constant) {
    if (is_inline(constant) && !outputs_.contains(&constant)) return;
    text_ += fmt::format("  {} = {}\n", declaration(constant), contents(constant));
  }

  std::string contents(const Value& constant) {
    std::string text;
    if (is_inline(constant)) text = literal(constant);
    if (text.empty() && constant.weight != nullptr) text = generator_text(*constant.weight);
    if (!text.empty()) return text;
    const uint64_t digest = constant.weight ? constant.weight->digest(digests_)[0] : 0;
    return fmt::format("blob(\"{:016x}\")", digest);
  }

  void print_op(const Op& op) {
    std::vector<std::string> results, operands;
    for (const Value* result : op.results) results.push_back(declaration(*result));
    const OpSpec* spec = find_op(op.type);
    const auto params = spec ? spec->params : std::span<const ParamSpec>{};
    for (const ParamSpec& param : params) {
      for (const Operand& operand : op.operands) {
        if (operand.param == param.name) operands.push_back(print_operand(operand, param.variadic));
      }
    }
    for (const Operand& operand : op.operands) {
      const bool known = std::any_of(params.begin(), params.end(), [&](const ParamSpec& param) {
        return param.name == operand.param;
      });
      if (!known) operands.push_back(print_operand(operand, operand.values.size() != 1));
    }
    text_ += fmt::format("  {}{}{}({})\n", join(results), results.empty() ? "" : " = ",
                         word(op.type), join(operands));
  }

  std::string print_operand(const Operand& operand, bool list) {
    std::vector<std::string> values;
    for (const Value* value : operand.values) values.push_back(print_use(*value));
    return fmt::format("{}={}{}{}", word(operand.param), list ? "[" : "", join(values),
                       list ? "]" : "");
  }

  std::string print_use(const Value& value) {
    if (!is_inline(value) || outputs_.contains(&value)) return value_name(value);
    return literal(value);
  }

  const Function& function_;
  const std::unordered_set<const Value*> outputs_;
  DigestCache digests_;
  std::string text_;
};

}  // namespace

std::string print(const Function& function) { return Printer(function).run(); }

std::string print(const Program& program) {
  std::vector<std::string> texts;
  for (const auto& function : program.functions) texts.push_back(print(*function));
  return fmt::format("{}", fmt::join(texts, "\n"));
}

}  // namespace diptych::mil
