// Small configurations of families, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "llama/families.h"

namespace diptych::llama {

inline Json config_of(std::string_view architecture) {
  return {{"architectures", {architecture}},
          {"hidden_size", 64},
          {"intermediate_size", 96},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"vocab_size", 99},
          {"rms_norm_eps", 1e-5}};
}

inline Json with(Json config, std::string_view key, Json value) {
  config[std::string(key)] = std::move(value);
  return config;
}

inline std::string refusal(const Json& config) {
  const auto model = describe_hugging_face(config);
  return model ? "described" : model.error().to_string();
}

// The windows of a model's layers; 0: none.
inline std::vector<int64_t> windows_of(const Params& params) {
  std::vector<int64_t> windows;
  for (int64_t layer = 0; layer < params.n_layers; ++layer) {
    windows.push_back(params.layer(static_cast<size_t>(layer)).window.value_or(0));
  }
  return windows;
}

}  // namespace diptych::llama
