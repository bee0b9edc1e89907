#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <unordered_set>

#include "coreml/model.h"
#include "coreml/proto_types.h"
#include "coreml/proto_values.h"

namespace diptych::coreml {

namespace {

// Writes the values and operations of one function.
class FunctionWriter {
 public:
  FunctionWriter(const mil::Function& function, WeightFileBuilder& weights, proto::Function* out)
      : function_(function), weights_(weights), out_(out) {}

  Status write() {
    out_->set_opset(function_.opset);
    block_ = &(*out_->mutable_block_specializations())[function_.opset];
    for (const mil::Value* input : function_.inputs) declare(*input, out_->add_inputs());
    for (const auto& op : function_.ops) {
      TRY(within(fmt::format("operation {} \"{}\"", op->type, op->result()->name),
                 write_operation(*op)));
    }
    for (const mil::Value* output : function_.outputs) {
      if (output->is_constant()) TRY(write_const(*output));
      block_->add_outputs(output->name);
    }
    return {};
  }

 private:
  static void declare(const mil::Value& value, proto::NamedValueType* out) {
    out->set_name(value.name);
    write_type(value.type, out->mutable_type());
  }

  Status write_operation(const mil::Op& op) {
    if (op.type.find('.') != op.type.npos) {
      return invalid_argument(
          "not an operation of Core ML; write the program before passes that "
          "introduce it");
    }
    // Core ML wants the constants of these in place, those of all others as operations.
    const bool in_place = op.type.starts_with("constexpr_");
    for (const mil::Operand& operand : op.operands) {
      for (const mil::Value* value : operand.values) {
        if (value->is_constant() && !in_place) TRY(write_const(*value));
      }
    }
    proto::Operation* out = block_->add_operations();
    out->set_type(op.type);
    for (const mil::Operand& operand : op.operands) {
      proto::Argument& argument = (*out->mutable_inputs())[operand.param];
      for (const mil::Value* value : operand.values) {
        proto::Binding* binding = argument.add_arguments();
        if (value->is_constant() && in_place) {
          TRY(write_contents(*value, binding->mutable_value()));
        } else {
          binding->set_name(value->name);
        }
      }
    }
    for (const mil::Value* result : op.results) declare(*result, out->add_outputs());
    write_string(op.result()->name, &(*out->mutable_attributes())["name"]);
    return {};
  }

  // The operation that defines a constant, unless it is there already.
  Status write_const(const mil::Value& value) {
    if (!written_.insert(&value).second) return {};
    proto::Operation* out = block_->add_operations();
    out->set_type("const");
    declare(value, out->add_outputs());
    write_string(value.name, &(*out->mutable_attributes())["name"]);
    return within("constant \"" + value.name + "\"",
                  write_contents(value, &(*out->mutable_attributes())["val"]));
  }

  Status write_contents(const mil::Value& value, proto::Value* out) {
    if (!value.weight) {
      write_string(value.text, out);
      return {};
    }
    if (!belongs_in_weight_file(*value.weight)) return write_immediate(value.weight, out);
    write_blob(value.type, TRY(weights_.add(value.weight)), out);
    return {};
  }

  const mil::Function& function_;
  WeightFileBuilder& weights_;
  proto::Function* out_;
  proto::Block* block_ = nullptr;
  std::unordered_set<const mil::Value*> written_;
};

Status write_feature(const mil::Value& value, proto::FeatureDescription* out) {
  out->set_name(value.name);
  return within("\"" + value.name + "\"",
                write_feature_type(value.type, out->mutable_type()->mutable_multi_array()));
}

// The interface of a function, into a ModelDescription or FunctionDescription.
template <class Description>
Status write_interface(const mil::Function& function, Description* out) {
  for (const mil::Value* input : function.inputs) TRY(write_feature(*input, out->add_input()));
  for (const mil::Value* output : function.outputs) TRY(write_feature(*output, out->add_output()));
  return {};
}

// Maps are written sorted by key, so that equal models are equal bytes.
Result<std::string> serialize(const proto::Model& model) {
  if (model.ByteSizeLong() > INT32_MAX) {
    return invalid_argument("the model would take {} bytes, protobuf allows {}",
                            model.ByteSizeLong(), INT32_MAX);
  }
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  {
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    model.SerializeWithCachedSizes(&coded);
  }
  return bytes;
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
  const bool multifunction = program.functions.size() > 1;
  SerializedModel result;
  proto::Model model;
  model.set_specification_version(kSpecificationVersion);
  proto::ModelDescription* description = model.mutable_description();
  proto::Program* out = model.mutable_ml_program();
  out->set_version(1);
  for (const auto& function : program.functions) {
    const std::string where = "function \"" + function->name + "\"";
    const std::string name = multifunction ? function->name : std::string(kMainFunction);
    if (out->functions().contains(name)) return invalid_argument("{} occurs twice", where);
    TRY(within(
        where,
        FunctionWriter(*function, result.weights, &(*out->mutable_functions())[name]).write()));
    if (multifunction) {
      proto::FunctionDescription* entry = description->add_functions();
      entry->set_name(name);
      TRY(within(where, write_interface(*function, entry)));
    } else {
      TRY(within(where, write_interface(*function, description)));
    }
  }
  if (multifunction) description->set_default_function_name(program.functions.front()->name);
  result.mlmodel = TRY(serialize(model));
  return result;
}

}  // namespace diptych::coreml
