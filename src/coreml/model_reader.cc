#include <algorithm>
#include <unordered_set>

#include "base/thread_pool.h"
#include "coreml/classes.h"
#include "coreml/model.h"
#include "coreml/model_support.h"
#include "coreml/proto_reader.h"
#include "coreml/proto_types.h"
#include "coreml/proto_values.h"
#include "coreml/side_by_side.h"
#include "mil/op_table.h"
#include "mil/verify.h"

namespace diptych::coreml {

namespace {

constexpr std::string_view kConst = "const";
// Far longer than any real name. Names are repeated in derived names, so their length bounds
// memory.
constexpr size_t kMaxNameBytes = 1024;

Status check_name(std::string_view name, std::string_view whose) {
  if (name.empty()) return invalid_data("{} without a name", whose);
  if (name.size() > kMaxNameBytes) {
    return invalid_data("{} with a name of {} bytes, at most {} are allowed", whose, name.size(),
                        kMaxNameBytes);
  }
  return {};
}

// The parameters of an operation in an order of ours: the op table's, then alphabetical. The order
// in the file means nothing.
std::vector<std::string> parameter_order(const proto::Operation& op, mil::Opset opset) {
  std::vector<std::string> rest;
  for (const auto& input : op.inputs) rest.emplace_back(input.first);
  std::vector<std::string> order;
  if (const mil::OpSpec* spec = mil::find_op(op.type, opset)) {
    if (mil::has_attributes(*spec)) {
      for (const auto& attribute : op.attributes) {
        const bool twice = op.inputs.contains(attribute.first);
        if (attribute.first != kNameAttribute && !twice) rest.emplace_back(attribute.first);
      }
    }
    for (const mil::ParamSpec& param : spec->params) {
      const auto found = std::find(rest.begin(), rest.end(), param.name);
      if (found == rest.end()) continue;
      order.push_back(std::move(*found));
      rest.erase(found);
    }
  }
  order.insert(order.end(), rest.begin(), rest.end());
  return order;
}

// Reads one function.
class FunctionReader {
 public:
  FunctionReader(const std::string& name, const proto::Function& source, WeightFile& weights)
      : source_(source),
        weights_(weights),
        function_(std::make_unique<mil::Function>(name, std::string(source.opset))) {}

  // Of the function that was read; none where it does not classify.
  std::optional<Classes>& classes() { return classes_; }

  Result<std::unique_ptr<mil::Function>> read() {
    const auto found = source_.block_specializations.find(source_.opset);
    if (found == source_.block_specializations.end()) {
      return invalid_data("no block for its opset \"{}\"", source_.opset);
    }
    const proto::Block& block = found->second;
    opset_ = TRY(mil::opset_from_name(source_.opset));
    TRY(reserve_names(block));
    for (const auto& input : source_.inputs) {
      TensorType type = TRY(within(fmt::format("input \"{}\"", input.name), read_type(input.type)));
      function_->add_input(std::string(input.name), std::move(type));
    }
    for (const auto& op : block.operations) {
      const std::string_view name = op.outputs.empty() ? std::string_view() : op.outputs[0].name;
      const auto where = [&] { return fmt::format("operation {} \"{}\"", op.type, name); };
      TRY(within(where, read_operation(op)));
    }
    for (const std::string_view name : block.outputs) {
      mil::Value* value = function_->find(name);
      if (value == nullptr) return invalid_data("output \"{}\" is not defined", name);
      function_->outputs.push_back(value);
    }
    return std::move(function_);
  }

 private:
  // Checks that every value of the file has a name of its own, and keeps the names from being
  // given to constants that have none.
  Status reserve_names(const proto::Block& block) {
    for (const auto& input : source_.inputs) TRY(reserve(input.name));
    for (const auto& op : block.operations) {
      for (const auto& output : op.outputs) TRY(reserve(output.name));
    }
    return {};
  }
  Status reserve(std::string_view name) {
    TRY(check_name(name, "a value"));
    if (!names_.emplace(name).second) return invalid_data("two values are called \"{}\"", name);
    return {};
  }

  Status read_operation(const proto::Operation& op) {
    if (op.outputs.empty()) return invalid_data("it has no outputs");
    if (op.type == kConst) return read_const(op);
    if (op.type == kClassify) return read_classify(op);
    std::vector<mil::Operand> operands;
    for (const std::string& param : parameter_order(op, opset_)) {
      operands.push_back(TRY(read_operand(op, param)));
    }
    std::vector<std::pair<std::string, TensorType>> results;
    for (const auto& output : op.outputs) {
      const auto where = [&] { return fmt::format("output \"{}\"", output.name); };
      TensorType type = TRY(within(where, read_type(output.type)));
      results.emplace_back(output.name, std::move(type));
    }
    function_->add_op(std::string(op.type), std::move(operands), std::move(results));
    return {};
  }

  // Its classes stay beside the program, which has numbers in their place.
  Status read_classify(const proto::Operation& op) {
    if (classes_) return unsupported("a second one in a function");
    classes_ = TRY(read_classes(op));
    std::vector<mil::Operand> operands;
    for (const std::string& param : parameter_order(op, opset_)) {
      if (param != "classes") operands.push_back(TRY(read_operand(op, param)));
    }
    const auto given = std::find_if(operands.begin(), operands.end(), [](const auto& operand) {
      return operand.param == "probabilities";
    });
    if (given == operands.end()) return invalid_data("parameter 'probabilities' is missing");
    const TensorType& type = given->values[0]->type;
    const uint64_t count = TRY(element_count(type.shape));
    if (classes_->names.size() != count) {
      return invalid_data("{} classes for {} probabilities", classes_->names.size(), count);
    }
    TensorType each{type.dtype, {static_cast<int64_t>(count)}};
    function_->add_op(
        std::string(op.type), std::move(operands),
        {{classes_->label, {DType::Int32, {}}}, {classes_->probabilities, std::move(each)}});
    return {};
  }

  Status read_const(const proto::Operation& op) {
    const auto value = op.attributes.find("val");
    if (op.outputs.size() != 1 || value == op.attributes.end()) {
      return invalid_data("expected one output and an attribute \"val\"");
    }
    const TensorType type = TRY(read_type(op.outputs[0].type));
    const TensorType value_type = TRY(read_type(value->second.type));
    if (type != value_type) {
      return invalid_data("declared as {}, its value is {}", to_string(type),
                          to_string(value_type));
    }
    TRY(add_constant(std::string(op.outputs[0].name), value->second));
    return {};
  }

  Result<mil::Operand> read_operand(const proto::Operation& op, const std::string& param) {
    return within([&] { return "input \"" + param + "\""; }, read_argument(op, param));
  }

  Result<mil::Operand> read_argument(const proto::Operation& op, const std::string& param) {
    TRY(check_name(param, "a parameter"));
    mil::Operand operand{param, {}};
    const auto input = op.inputs.find(param);
    if (input == op.inputs.end()) {
      const std::string name = free_name(fmt::format("{}_{}", op.outputs[0].name, param));
      operand.values.push_back(TRY(add_constant(name, op.attributes.at(param))));
      return operand;
    }
    const proto::Argument& argument = input->second;
    for (const proto::Binding& binding : argument.arguments) {
      if (const auto* bound = std::get_if<std::string_view>(&binding.binding)) {
        mil::Value* value = function_->find(*bound);
        if (value == nullptr) return invalid_data("\"{}\" is not defined before its use", *bound);
        operand.values.push_back(value);
      } else if (const auto* constant = std::get_if<proto::Value>(&binding.binding)) {
        std::string name = fmt::format("{}_{}", op.outputs[0].name, param);
        if (argument.arguments.size() > 1) name += fmt::format("_{}", operand.values.size());
        operand.values.push_back(TRY(add_constant(free_name(name), *constant)));
      } else {
        return invalid_data("bound to neither a name nor a value");
      }
    }
    if (operand.values.empty()) return invalid_data("bound to nothing");
    return operand;
  }

  std::string free_name(const std::string& wanted) {
    std::string name = wanted;
    for (int suffix = 1; !names_.insert(name).second; ++suffix) {
      name = fmt::format("{}_{}", wanted, suffix);
    }
    return name;
  }

  Result<mil::Value*> add_constant(const std::string& name, const proto::Value& value) {
    const TensorType type = TRY(read_type(value.type));
    if (const auto* blob = std::get_if<proto::BlobFileValue>(&value.value)) {
      return function_->add_constant(name, TRY(weights_.weight(blob->offset, type)));
    }
    const auto* immediate = std::get_if<proto::ImmediateValue>(&value.value);
    if (immediate == nullptr) return invalid_data("a constant without a value");
    if (type.dtype == DType::String) {
      return function_->add_string(name, TRY(read_immediate_string(*immediate, type)));
    }
    return function_->add_constant(name, TRY(read_immediate(*immediate, type)));
  }

  const proto::Function& source_;
  WeightFile& weights_;
  mil::Opset opset_ = mil::kLastOpset;
  std::unique_ptr<mil::Function> function_;
  std::unordered_set<std::string> names_;
  std::optional<Classes> classes_;
};

// Whether a feature's type can be that of a value. A feature without a shape leaves it open; one of
// [1] may be a scalar's, since features have an axis at least.
bool describes(const TensorType& feature, const TensorType& value) {
  if (feature.dtype != value.dtype) return false;
  return feature.shape.empty() || feature.shape == value.shape ||
         (value.shape.empty() && feature.shape == Shape{1});
}

// Compares the features of a description with the values of the function, by name.
Status check_features(const std::vector<proto::FeatureDescription>& features,
                      const std::vector<mil::Value*>& values, std::string_view side,
                      const Classes* classes = nullptr) {
  std::multimap<std::string_view, const mil::Value*> by_name;  // an output may be given twice
  for (const mil::Value* value : values) by_name.emplace(value->name, value);
  if (features.size() != values.size()) {
    return invalid_data("the description has {} {}s, the function {}", features.size(), side,
                        values.size());
  }
  for (const auto& feature : features) {
    const auto found = by_name.find(feature.name);
    if (found == by_name.end()) {
      return invalid_data("{} \"{}\" of the description is not one of the function", side,
                          feature.name);
    }
    if (classes != nullptr &&
        (feature.name == classes->label || feature.name == classes->probabilities)) {
      TRY(check_class_feature(feature, *classes));
      by_name.erase(found);
      continue;
    }
    const TensorType type = TRY(within(fmt::format("{} \"{}\"", side, feature.name),
                                       read_feature_type(feature.type.multi_array)));
    if (!describes(type, found->second->type)) {
      return invalid_data("{} \"{}\": the description says {}, the function {}", side, feature.name,
                          to_string(type), to_string(found->second->type));
    }
    by_name.erase(found);
  }
  return {};
}

struct ReadFunction {
  std::unique_ptr<mil::Function> function;
  std::optional<Classes> classes;
};

// Reads a function and checks its description (a ModelDescription or FunctionDescription).
template <class Description>
Result<ReadFunction> read_function(const std::string& name, const Description& description,
                                   const proto::Program& source, WeightFile& weights) {
  const auto found = source.functions.find(name);
  if (found == source.functions.end()) {
    return invalid_data("the description lists the function \"{}\", the program lacks it", name);
  }
  const std::string where = "function \"" + name + "\"";
  FunctionReader reader(name, found->second, weights);
  ReadFunction read{TRY(within(where, reader.read())), std::move(reader.classes())};
  const mil::Function& function = *read.function;
  const Classes* classes = read.classes ? &*read.classes : nullptr;
  TRY(within(where, check_features(description.input, function.inputs, "input")));
  TRY(within(where, check_features(description.output, function.outputs, "output", classes)));
  TRY(mil::verify(function, /*allow_unknown=*/true));
  return read;
}

// The defaults of a description's optional inputs.
std::map<std::string, double> defaults_of(const std::vector<proto::FeatureDescription>& inputs) {
  std::map<std::string, double> defaults;
  for (const auto& input : inputs) {
    if (!input.type.is_optional) continue;
    defaults.emplace(input.name, input.type.multi_array.default_value);
  }
  return defaults;
}

Status check_function_names(const std::vector<proto::FunctionDescription>& functions) {
  std::unordered_set<std::string_view> names;
  for (const auto& function : functions) {
    TRY(check_name(function.name, "a function"));
    if (!names.insert(function.name).second) {
      return invalid_data("the function \"{}\" is described twice", function.name);
    }
  }
  return {};
}

// All functions of a model that lists them, in its order.
Result<std::vector<ReadFunction>> read_functions(
    const std::vector<proto::FunctionDescription>& functions, const proto::Program& source,
    WeightFile& weights, ThreadPool* pool) {
  TRY(check_function_names(functions));
  std::vector<Result<ReadFunction>> read(functions.size());
  side_by_side(pool, functions.size(), [&](size_t i) {
    read[i] = read_function(std::string(functions[i].name), functions[i], source, weights);
  });
  std::vector<ReadFunction> result;
  for (auto& function : read) result.push_back(TRY(std::move(function)));
  return result;
}

void add_function(Model& model, ReadFunction read) {
  if (read.classes) model.classes.emplace(read.function->name, std::move(*read.classes));
  model.program.functions.push_back(std::move(read.function));
}

}  // namespace

Result<Model> read_model(Bytes mlmodel, WeightFile& weights, ThreadPool* pool) {
  if (mlmodel.size() > INT32_MAX) {
    return invalid_data("a model file of {} bytes, at most {} are possible", mlmodel.size(),
                        INT32_MAX);
  }
  const proto::Model source = TRY(read_proto(mlmodel, pool));
  TRY(check_supported(source));

  const proto::ModelDescription& description = source.description;
  const proto::Program& program = source.ml_program;
  Model model;
  model.specification_version = source.specification_version;
  model.multifunction = !description.functions.empty();
  const size_t described = model.multifunction ? description.functions.size() : 1;
  if (described != program.functions.size()) {
    return invalid_data("the description is of {} functions, the program has {}", described,
                        program.functions.size());
  }
  if (model.multifunction) {
    for (auto& read : TRY(read_functions(description.functions, program, weights, pool))) {
      add_function(model, std::move(read));
    }
    for (const auto& function : description.functions) {
      model.defaults.emplace(function.name, defaults_of(function.input));
    }
    model.default_function = description.default_function_name;
    if (model.program.find(model.default_function) == nullptr) {
      return invalid_data("the default function \"{}\" does not exist", model.default_function);
    }
  } else {
    model.default_function = program.functions.begin()->first;
    TRY(check_name(model.default_function, "a function"));
    add_function(model, TRY(read_function(model.default_function, description, program, weights)));
    model.defaults.emplace(model.default_function, defaults_of(description.input));
  }
  for (const auto& entry : description.metadata.user_defined) {
    model.metadata.emplace(entry.first, entry.second);
  }
  return model;
}

}  // namespace diptych::coreml
