// Types between protobuf and the IR. Private to src/coreml.
#pragma once

#include <optional>
#include <protozero/pbf_writer.hpp>
#include <string_view>

#include "base/error.h"
#include "coreml/proto.h"
#include "tensor/type.h"

namespace diptych::coreml {

// The attribute of every operation that holds its name.
inline constexpr std::string_view kNameAttribute = "name";

// Reads a tensor type. Its dimensions must be fixed and its size in bytes must not overflow.
Result<TensorType> read_type(const proto::ValueType& type);
// Writes the fields of a ValueType.
void write_type(const TensorType& type, protozero::pbf_writer out);

// True when a tensor type has a dimension that is not a number.
bool has_unknown_dimension(const proto::ValueType& type);

// What a value is if it is not a tensor: "list", "state" …; empty for a tensor and for no type.
std::string_view non_tensor_kind(const proto::ValueType& type);

// The type of a multi-array feature of a model description.
Result<TensorType> read_feature_type(const proto::ArrayFeatureType& type);
// Writes the fields of an ArrayFeatureType. Fails for element types that features cannot have (all
// but fp16, fp32, fp64, int32, int8).
Status write_feature_type(const TensorType& type, protozero::pbf_writer out);

}  // namespace diptych::coreml
