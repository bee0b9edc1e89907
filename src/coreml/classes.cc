#include "coreml/classes.h"

#include "coreml/proto_types.h"

namespace diptych::coreml {
namespace {

using Strings = proto::TensorValue::Strings;
using LongInts = proto::TensorValue::LongInts;

// The list that is bound to `classes`.
Result<const std::vector<proto::TensorValue>*> list_of(const proto::Operation& op) {
  const auto found = op.inputs.find("classes");
  if (found == op.inputs.end()) return invalid_data("parameter 'classes' is missing");
  const auto& arguments = found->second.arguments;
  const proto::Value* value =
      arguments.size() == 1 ? std::get_if<proto::Value>(&arguments[0].binding) : nullptr;
  const auto* immediate =
      value == nullptr ? nullptr : std::get_if<proto::ImmediateValue>(&value->value);
  if (immediate == nullptr || immediate->value != proto::ImmediateValue::kList) {
    return unsupported("parameter 'classes' that is not a list in the operation itself");
  }
  return &immediate->list;
}

}  // namespace

Result<Classes> read_classes(const proto::Operation& op) {
  if (op.outputs.size() != 2) {
    return invalid_data("expected two outputs, found {}", op.outputs.size());
  }
  Classes classes;
  classes.label = op.outputs[0].name;
  classes.probabilities = op.outputs[1].name;
  const TensorType label = TRY(read_type(op.outputs[0].type));
  classes.integers = label.dtype == DType::Int64;
  if (!label.shape.empty() || (!classes.integers && label.dtype != DType::String)) {
    return invalid_data("expected a text or an int64 for the class, found {}", to_string(label));
  }
  if (op.outputs[1].type.type != proto::ValueType::kDictionary) {
    return invalid_data("expected a dictionary of probabilities");
  }
  for (const proto::TensorValue& entry : *TRY(list_of(op))) {
    const auto* strings = std::get_if<Strings>(&entry.value);
    const auto* integers = std::get_if<LongInts>(&entry.value);
    if (!classes.integers && strings != nullptr && strings->size() == 1) {
      classes.names.emplace_back(strings->front());
    } else if (classes.integers && integers != nullptr && integers->size() == 1) {
      classes.names.push_back(std::to_string(integers->front()));
    } else {
      return invalid_data("class {} is not one {}", classes.names.size(),
                          classes.integers ? "int64" : "text");
    }
  }
  return classes;
}

bool is_class_feature(const proto::FeatureDescription& feature) {
  const uint32_t type = feature.type.type;
  return type == proto::FeatureType::kString || type == proto::FeatureType::kInt64 ||
         type == proto::FeatureType::kDictionary;
}

Status check_class_feature(const proto::FeatureDescription& feature, const Classes& classes) {
  const uint32_t label =
      classes.integers ? proto::FeatureType::kInt64 : proto::FeatureType::kString;
  const uint32_t expected =
      feature.name == classes.label ? label : uint32_t{proto::FeatureType::kDictionary};
  if (feature.type.type == expected) return {};
  return invalid_data("output \"{}\": the description has another kind than the classifier gives",
                      feature.name);
}

}  // namespace diptych::coreml
