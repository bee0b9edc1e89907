#include <map>
#include <protozero/pbf_writer.hpp>
#include <unordered_set>

#include "coreml/classes.h"
#include "coreml/model.h"
#include "coreml/proto_types.h"
#include "coreml/proto_values.h"
#include "mil/op_table.h"

namespace diptych::coreml {

namespace {

using protozero::pbf_writer;

// Fields are written in the order of their numbers and the entries of maps in the order of their
// keys, so that equal models are equal bytes.

void write_text(pbf_writer& out, uint32_t field, std::string_view text) {
  out.add_string(field, text.data(), text.size());
}

void write_named_type(const mil::Value& value, pbf_writer out) {
  write_text(out, proto::NamedValueType::kName, value.name);
  write_type(value.type, pbf_writer(out, proto::NamedValueType::kType));
}

// Writes the values and operations of one function.
class FunctionWriter {
 public:
  FunctionWriter(const mil::Function& function, WeightFileBuilder& weights)
      : function_(function),
        weights_(weights),
        opset_(mil::opset_from_name(function.opset).value_or(mil::kLastOpset)) {}

  // The fields of a Function.
  Result<std::string> write() {
    std::string bytes;
    pbf_writer out(bytes);
    for (const mil::Value* input : function_.inputs) {
      write_named_type(*input, pbf_writer(out, proto::Function::kInputs));
    }
    write_text(out, proto::Function::kOpset, function_.opset);
    {
      pbf_writer entry(out, proto::Function::kBlockSpecializations);
      write_text(entry, proto::kKey, function_.opset);
      TRY(write_block(pbf_writer(entry, proto::kValue)));
    }  // now complete
    return bytes;
  }

 private:
  using Parameters = std::map<std::string_view, const mil::Operand*>;

  Status write_block(pbf_writer block) {
    for (const mil::Value* output : function_.outputs) {
      write_text(block, proto::Block::kOutputs, output->name);
    }
    for (const auto& op : function_.ops) {
      TRY(within(fmt::format("operation {} \"{}\"", op->type, op->result()->name),
                 write_operation(*op, block)));
    }
    for (const mil::Value* output : function_.outputs) {
      if (output->is_constant()) TRY(write_const(*output, block));
    }
    return {};
  }

  Status write_operation(const mil::Op& op, pbf_writer& block) {
    if (op.type.find('.') != op.type.npos) {
      return invalid_argument(
          "not an operation of Core ML; write the program before passes that "
          "introduce it");
    }
    if (op.type == kClassify) {
      return unsupported("classifiers cannot be written: programs do not hold their classes");
    }
    // Core ML wants the constants of these in place, those of all others as operations.
    const bool in_place = mil::is_constant_expression(op);
    Parameters inputs, attributes;
    const mil::OpSpec* spec = mil::find_op(op.type, opset_);
    Parameters& bound = spec != nullptr && mil::has_attributes(*spec) ? attributes : inputs;
    for (const mil::Operand& operand : op.operands) {
      bound.emplace(operand.param, &operand);
      for (const mil::Value* value : operand.values) {
        if (value->is_constant() && !in_place) TRY(write_const(*value, block));
      }
    }
    pbf_writer out(block, proto::Block::kOperations);
    write_text(out, proto::Operation::kType, op.type);
    for (const auto& [param, operand] : inputs) {
      pbf_writer entry(out, proto::Operation::kInputs);
      write_text(entry, proto::kKey, param);
      pbf_writer argument(entry, proto::kValue);
      for (const mil::Value* value : operand->values) {
        pbf_writer binding(argument, proto::Argument::kArguments);
        if (value->is_constant() && in_place) {
          TRY(write_contents(*value, pbf_writer(binding, proto::Binding::kValue)));
        } else {
          write_text(binding, proto::Binding::kName, value->name);
        }
      }
    }
    for (const mil::Value* result : op.results) {
      write_named_type(*result, pbf_writer(out, proto::Operation::kOutputs));
    }
    return write_attributes(op.result()->name, attributes, out);
  }

  // The name of an operation, and what else is an attribute.
  Status write_attributes(std::string_view name, const Parameters& others, pbf_writer& op) {
    const auto behind = others.upper_bound(kNameAttribute);
    for (auto at = others.begin(); at != behind; ++at) TRY(write_attribute(*at, op));
    write_name(name, op);
    for (auto at = behind; at != others.end(); ++at) TRY(write_attribute(*at, op));
    return {};
  }

  // The operation that defines a constant, unless it is there already.
  Status write_const(const mil::Value& value, pbf_writer& block) {
    if (!written_.insert(&value).second) return {};
    pbf_writer out(block, proto::Block::kOperations);
    write_text(out, proto::Operation::kType, "const");
    write_named_type(value, pbf_writer(out, proto::Operation::kOutputs));
    write_name(value.name, out);
    pbf_writer entry(out, proto::Operation::kAttributes);
    write_text(entry, proto::kKey, "val");
    return within("constant \"" + value.name + "\"",
                  write_contents(value, pbf_writer(entry, proto::kValue)));
  }

  // The attribute "name" of an operation.
  static void write_name(std::string_view name, pbf_writer& op) {
    pbf_writer entry(op, proto::Operation::kAttributes);
    write_text(entry, proto::kKey, kNameAttribute);
    write_string(name, pbf_writer(entry, proto::kValue));
  }

  Status write_attribute(const Parameters::value_type& attribute, pbf_writer& op) {
    const mil::Value& value = *attribute.second->values.front();
    if (!value.is_constant()) {
      return invalid_argument("\"{}\" is %{}, expected a constant", attribute.first, value.name);
    }
    pbf_writer entry(op, proto::Operation::kAttributes);
    write_text(entry, proto::kKey, attribute.first);
    return write_contents(value, pbf_writer(entry, proto::kValue));
  }

  Status write_contents(const mil::Value& value, pbf_writer out) {
    if (!value.weight) {
      write_string(value.text, std::move(out));
      return {};
    }
    if (!belongs_in_weight_file(*value.weight)) {
      return write_immediate(value.weight, std::move(out));
    }
    write_blob(value.type, TRY(weights_.add(value.weight)), std::move(out));
    return {};
  }

  const mil::Function& function_;
  WeightFileBuilder& weights_;
  const mil::Opset opset_;
  std::unordered_set<const mil::Value*> written_;
};

Status write_feature(const mil::Value& value, pbf_writer out) {
  write_text(out, proto::FeatureDescription::kName, value.name);
  pbf_writer type(out, proto::FeatureDescription::kType);
  return within("\"" + value.name + "\"",
                write_feature_type(value.type, pbf_writer(type, proto::FeatureType::kMultiArray)));
}

// The interface of a function, into a Description: ModelDescription or FunctionDescription.
template <class Description>
Status write_interface(const mil::Function& function, pbf_writer& out) {
  for (const mil::Value* input : function.inputs) {
    TRY(write_feature(*input, pbf_writer(out, Description::kInput)));
  }
  for (const mil::Value* output : function.outputs) {
    TRY(write_feature(*output, pbf_writer(out, Description::kOutput)));
  }
  return {};
}

std::string where(const mil::Function& function) { return "function \"" + function.name + "\""; }

Status write_description(const mil::Program& program, pbf_writer out) {
  if (program.functions.size() == 1) {
    const mil::Function& only = *program.functions.front();
    return within(where(only), write_interface<proto::ModelDescription>(only, out));
  }
  for (const auto& function : program.functions) {
    pbf_writer entry(out, proto::ModelDescription::kFunctions);
    write_text(entry, proto::FunctionDescription::kName, function->name);
    TRY(within(where(*function), write_interface<proto::FunctionDescription>(*function, entry)));
  }
  write_text(out, proto::ModelDescription::kDefaultFunctionName, program.functions.front()->name);
  return {};
}

}  // namespace

Digest SerializedModel::digest(DigestCache& cache) const {
  Hasher hasher;
  hasher.add(std::string_view(mlmodel));
  for (const WeightRef& weight : weights.weights()) hasher.add(weight->digest(cache));
  return hasher.digest();
}

Result<SerializedModel> write_model(const mil::Program& program) {
  if (program.functions.empty()) return invalid_argument("a program without functions");
  SerializedModel result;
  // In the order of the program, which is the order of the weights.
  std::map<std::string_view, std::string> functions;
  for (const auto& function : program.functions) {
    const std::string_view name =
        program.functions.size() > 1 ? std::string_view(function->name) : kMainFunction;
    if (functions.contains(name)) return invalid_argument("{} occurs twice", where(*function));
    functions[name] =
        TRY(within(where(*function), FunctionWriter(*function, result.weights).write()));
  }
  pbf_writer model(result.mlmodel);
  model.add_int32(proto::Model::kSpecificationVersion, kSpecificationVersion);
  TRY(write_description(program, pbf_writer(model, proto::Model::kDescription)));
  {
    pbf_writer out(model, proto::Model::kMlProgram);
    out.add_int64(proto::Program::kVersion, 1);
    for (const auto& [name, bytes] : functions) {
      pbf_writer entry(out, proto::Program::kFunctions);
      write_text(entry, proto::kKey, name);
      entry.add_message(proto::kValue, bytes);
    }
  }
  if (result.mlmodel.size() > INT32_MAX) {
    return invalid_argument("the model would take {} bytes, protobuf allows {}",
                            result.mlmodel.size(), INT32_MAX);
  }
  return result;
}

}  // namespace diptych::coreml
