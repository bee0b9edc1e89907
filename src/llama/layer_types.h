// Which layers have a window, as configurations say by "layer_types".
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "llama/param_reader.h"

namespace diptych::llama {

// By layer, whether it is "sliding_attention" (true) or "full_attention". Nothing where the key is
// missing or null, or where it has a problem, which `reader` notes: another kind, another length.
std::optional<std::vector<bool>> read_layer_types(ParamReader& reader, int64_t layers);

// Gives these layers a window. An empty list of layers stands for all of them without one.
void set_windows(const std::vector<bool>& sliding, int64_t window, Params* params);

}  // namespace diptych::llama
