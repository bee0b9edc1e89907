// A Llama as the static-attention contract sees it.
#pragma once

#include <cstdint>

#include "contract/model.h"
#include "llama/params.h"

namespace diptych::llama {

// All layers are of one class, with caches of `cache_len` tokens; `dtype` is the model's.
contract::Model static_model(const Params& params, int64_t cache_len, DType dtype);

}  // namespace diptych::llama
