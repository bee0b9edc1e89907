// What a classifier tells apart, in files: the classes are an operand of the operation classify,
// its results a text or a number and a dictionary. Private to src/coreml.
#pragma once

#include "base/error.h"
#include "coreml/model.h"
#include "coreml/proto.h"

namespace diptych::coreml {

inline constexpr std::string_view kClassify = "classify";

// The classes of an operation classify, whose results are `label` and `probabilities`.
Result<Classes> read_classes(const proto::Operation& op);

// Whether the description of an output is of a kind that classify gives.
bool is_class_feature(const proto::FeatureDescription& feature);
// Checks the description of a result of classify against what it is.
Status check_class_feature(const proto::FeatureDescription& feature, const Classes& classes);

}  // namespace diptych::coreml
