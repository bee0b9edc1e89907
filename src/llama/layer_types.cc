#include "llama/layer_types.h"

#include <algorithm>

namespace diptych::llama {

std::optional<std::vector<bool>> read_layer_types(ParamReader& reader, int64_t layers) {
  const Json* types = reader.find("layer_types", true);
  if (types == nullptr) return std::nullopt;
  if (!types->is_array() || types->size() != static_cast<size_t>(layers)) {
    reader.problem(
        fmt::format("layer_types: expected a list of {} types, found {}", layers,
                    types->is_array() ? fmt::format("{}", types->size()) : shown(*types)));
    return std::nullopt;
  }
  std::vector<bool> sliding;
  for (const Json& type : *types) {
    if (type != "full_attention" && type != "sliding_attention") {
      reader.problem(fmt::format(
          "layer_types: {}, expected \"full_attention\" or \"sliding_attention\"", shown(type)));
      return std::nullopt;
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

void set_windows(const std::vector<bool>& sliding, int64_t window, Params* params) {
  if (std::none_of(sliding.begin(), sliding.end(), [](bool has) { return has; })) return;
  params->layers.resize(sliding.size());
  for (size_t layer = 0; layer < sliding.size(); ++layer) {
    if (sliding[layer]) params->layers[layer].window = window;
  }
}

}  // namespace diptych::llama
