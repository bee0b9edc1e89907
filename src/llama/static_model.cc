#include "llama/static_model.h"

namespace diptych::llama {

contract::Model static_model(const Params& params, int64_t cache_len, DType dtype) {
  contract::Model model = contract::uniform_model(static_cast<size_t>(params.n_layers), cache_len);
  model.vocab_size = params.vocab_size;
  model.kv_heads = params.n_kv_heads;
  model.head_dim = params.head_dim;
  model.rope_width = params.rope_dim();
  model.dtype = dtype;
  return model;
}

}  // namespace diptych::llama
