// Constant contents between protobuf and weights. Private to src/coreml.
#pragma once

#include <string>
#include <string_view>

#include "coreml/proto_types.h"
#include "tensor/weight.h"

namespace diptych::coreml {

// The only blob file name there is: weight.bin in the directory `weights` beside the model.
inline constexpr std::string_view kWeightFileName = "@model_path/weights/weight.bin";

// Reads the elements of an immediate tensor, whose number must be the type's.
Result<WeightRef> read_immediate(const proto::ImmediateValue& value, const TensorType& type);
// Reads the one string of an immediate scalar.
Result<std::string> read_immediate_string(const proto::ImmediateValue& value,
                                          const TensorType& type);

// Write the fields of a Value: the type, and the elements or where they are.
Status write_immediate(const WeightRef& weight, protozero::pbf_writer out);
void write_string(std::string_view text, protozero::pbf_writer out);
void write_blob(const TensorType& type, uint64_t record_offset, protozero::pbf_writer out);

// True for constants that go to the weight file rather than into the model: those of ten elements
// or more whose type the file can hold.
bool belongs_in_weight_file(const Weight& weight);

}  // namespace diptych::coreml
