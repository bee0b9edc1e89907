// A Llama as the static-attention contract sees it.
#pragma once

#include <cstdint>

#include "contract/model.h"
#include "llama/params.h"

namespace diptych::llama {

// Layers without a window are of the first class, with caches of `cache_len` tokens. Layers with a
// window are of a class with the others of this window; their caches are as long as the window,
// or a little longer where another class has that length. `params` are those of for_context();
// `dtype` is the model's.
contract::Model static_model(const Params& params, int64_t cache_len, DType dtype);

}  // namespace diptych::llama
