#include "mil/verify.h"

#include <unordered_set>

#include "mil/op_table.h"

namespace diptych::mil {
namespace {

// Walks one function in execution order and collects everything that is wrong with it.
class Verifier {
 public:
  Verifier(const Function& function, bool allow_unknown)
      : function_(function),
        opset_(opset_from_name(function.opset)),
        allow_unknown_(allow_unknown) {}

  std::vector<std::string> run() {
    if (!opset_) report("{}", opset_.error().to_string());
    for (const Value* input : function_.inputs) check_input(input);
    for (const Value* constant : function_.constants()) check_constant(*constant);
    for (const auto& op : function_.ops) check_op(*op);
    for (const Value* output : function_.outputs) {
      if (!defined_.contains(output)) report("output {} is not defined", describe(output));
    }
    return std::move(findings_);
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    findings_.push_back(
        fmt::format("@{}: {}", function_.name, fmt::format(format, std::forward<Args>(args)...)));
  }

  static std::string describe(const Value* value) {
    return value == nullptr ? "(null)" : "%" + value->name;
  }

  // A value comes into existence: its name leads back to it and nothing has defined it before.
  void define(const Value& value) {
    if (function_.find(value.name) != &value)
      report("%{} is not the value of that name", value.name);
    if (!defined_.insert(&value).second) report("%{} is defined twice", value.name);
  }

  void check_input(const Value* input) {
    if (input == nullptr) return report("an input is null");
    define(*input);
    if (input->kind != Value::Kind::Input)
      report("%{} is listed as an input but is none", input->name);
    check_shape(*input);
  }

  void check_constant(const Value& constant) {
    define(constant);
    if (constant.type.dtype == DType::String) {
      if (constant.weight != nullptr || !constant.type.shape.empty()) {
        report("%{}: a string constant is a scalar without weight", constant.name);
      }
    } else if (constant.weight == nullptr) {
      report("%{}: the constant has no contents", constant.name);
    } else if (constant.weight->type() != constant.type) {
      report("%{} is declared {} but its weight is {}", constant.name, to_string(constant.type),
             to_string(constant.weight->type()));
    }
    check_shape(constant);
  }

  void check_shape(const Value& value) {
    if (const auto count = element_count(value.type.shape); !count) {
      report("%{}: {}", value.name, count.error().message);
    }
  }

  void check_op(const Op& op) {
    const bool operands_defined = check_operands(op);
    check_results(op);
    if (operands_defined && opset_) check_types(op);
  }

  bool check_operands(const Op& op) {
    bool all_defined = true;
    for (const Operand& operand : op.operands) {
      for (const Value* value : operand.values) {
        if (defined_.contains(value)) continue;
        all_defined = false;
        report("{}: parameter '{}' uses {} before it is defined", label(op), operand.param,
               describe(value));
      }
    }
    return all_defined;
  }

  void check_results(const Op& op) {
    for (size_t i = 0; i < op.results.size(); ++i) {
      const Value* result = op.results[i];
      if (result == nullptr) {
        report("{}: result {} is null", op.type, i);
        continue;
      }
      define(*result);
      if (result->kind != Value::Kind::Result || result->producer != &op ||
          result->result_index != static_cast<int>(i)) {
        report("%{} is result {} of {} but not linked to it", result->name, i, op.type);
      }
      check_shape(*result);
    }
  }

  void check_types(const Op& op) {
    if (!is_known_op(op.type)) {
      if (!allow_unknown_) report("{}: operation '{}' is not supported", label(op), op.type);
      return;
    }
    const auto types = infer(op, *opset_);
    if (!types) {
      return report("{}", types.error().to_string());
    }
    if (types->size() != op.results.size()) {
      return report("{}: expected {} results, found {}", label(op), types->size(),
                    op.results.size());
    }
    for (size_t i = 0; i < types->size(); ++i) {
      const Value* result = op.results[i];
      if (result != nullptr && result->type != (*types)[i]) {
        report("{}: %{} is declared {}, inferred is {}", op.type, result->name,
               to_string(result->type), to_string((*types)[i]));
      }
    }
  }

  // "linear %y", or "linear" when there is no result to name it by.
  static std::string label(const Op& op) {
    const bool named = !op.results.empty() && op.results.front() != nullptr;
    return named ? fmt::format("{} %{}", op.type, op.result()->name) : op.type;
  }

  const Function& function_;
  const Result<Opset> opset_;
  const bool allow_unknown_;
  std::unordered_set<const Value*> defined_;
  std::vector<std::string> findings_;
};

Status to_status(std::vector<std::string> findings) {
  if (findings.empty()) return {};
  Error error;
  error.code = ErrorCode::InvalidData;
  error.message =
      fmt::format("the program breaks {} rule{}", findings.size(), findings.size() == 1 ? "" : "s");
  error.items = std::move(findings);
  return tl::unexpected(std::move(error));
}

}  // namespace

Status verify(const Function& function, bool allow_unknown) {
  return to_status(Verifier(function, allow_unknown).run());
}

Status verify(const Program& program, bool allow_unknown) {
  std::vector<std::string> findings;
  std::unordered_set<std::string_view> names;
  for (const auto& function : program.functions) {
    if (!names.insert(function->name).second) {
      findings.push_back(fmt::format("two functions are named @{}", function->name));
    }
    for (std::string& finding : Verifier(*function, allow_unknown).run()) {
      findings.push_back(std::move(finding));
    }
  }
  return to_status(std::move(findings));
}

}  // namespace diptych::mil
