// Opens adapters' directories, for a model that is to be exported.
#pragma once

#include <vector>

#include "exporter/options.h"
#include "exporter/source.h"

namespace diptych::exporter {

// Each directory holds adapter_config.json and adapter_model.safetensors. Adapters without a name
// are merged into the model's weights, one after another, with a note of each; the others become
// model.weights.adapters. Errors: NotFound, with the file that is missing; those of
// llama::read_adapter().
Status add_adapters(const std::vector<AdapterSource>& sources, Model& model);

}  // namespace diptych::exporter
