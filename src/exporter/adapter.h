// Opens an adapter's directory and merges it into a model that is to be exported.
#pragma once

#include <string>

#include "exporter/source.h"

namespace diptych::exporter {

// `directory` holds adapter_config.json and adapter_model.safetensors. Adds a note to the model.
// Errors: NotFound, with the file that is missing; those of llama::merge_adapter().
Status merge_adapter(const std::string& directory, Model& model);

}  // namespace diptych::exporter
