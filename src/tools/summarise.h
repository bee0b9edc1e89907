// Summaries of Core ML models, for inspect. Private to src/tools.
#pragma once

#include <string_view>

#include "tools/inspect.h"

namespace diptych::tools {

// Where a model's weights are, beside it.
inline constexpr std::string_view kWeightFile = "weights/weight.bin";

ValueType type_of(const TensorType& type);

// Fills in what follows from package.model; weights that lie in `blob` count as stored.
void summarise_functions(Bytes blob, Package& package);

// The model of a .mlpackage or .mlmodel.
Result<Package> inspect_model(const std::string& path);

}  // namespace diptych::tools
