#include "llama/static_model.h"

#include <algorithm>

namespace diptych::llama {
namespace {

// The class of layers with this window, made where there is none yet. Masks are told apart by the
// lengths of caches, so these differ.
size_t class_with(std::optional<int64_t> window, int64_t cache_len, contract::Model& model) {
  std::vector<contract::LayerClass>& classes = model.classes;
  const auto found =
      std::find_if(classes.begin(), classes.end(),
                   [&](const contract::LayerClass& layers) { return layers.window == window; });
  const auto index = static_cast<size_t>(found - classes.begin());
  if (found != classes.end()) return index;
  const auto taken = [&](const contract::LayerClass& layers) {
    return layers.cache_len == cache_len;
  };
  while (std::any_of(classes.begin(), classes.end(), taken)) ++cache_len;
  classes.push_back({cache_len, window});
  return index;
}

}  // namespace

contract::Model static_model(const Params& params, int64_t cache_len, DType dtype) {
  contract::Model model;
  const auto layers = static_cast<size_t>(params.n_layers);
  for (size_t layer = 0; layer < layers; ++layer) {
    if (!params.layer(layer).window) class_with({}, cache_len, model);
  }
  for (size_t layer = 0; layer < layers; ++layer) {
    const auto [window, rope] = params.layer(layer);
    model.class_of_layer.push_back(class_with(window, window.value_or(cache_len), model));
    model.rope_of_layer.push_back(rope);
  }
  model.vocab_size = params.vocab_size;
  model.kv_heads = params.n_kv_heads;
  model.head_dim = params.head_dim;
  model.rope_width = params.rope_dim();
  model.dtype = dtype;
  return model;
}

}  // namespace diptych::llama
