// What an exported method looks like from outside: its inputs and outputs, in the order and under
// the names that upstream's runner and Core ML package know them by.
// Source: executorch/examples/apple/coreml/llama/export_static_llm_coreml.py.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "llama/params.h"
#include "tensor/type.h"

namespace diptych::llama {

// The sizes that distinguish one method of a model from another.
struct MethodShape {
  int64_t tokens = 1;            // T, tokens per call
  int64_t cache_len = 0;         // C, tokens in the KV caches
  bool last_logits_only = true;  // logits of one row, picked by last_valid_token_pos, or of all T
};

inline constexpr std::string_view kTokensInput = "tokens";
inline constexpr std::string_view kCosInput = "attn_options_freqs_cos_override";
inline constexpr std::string_view kSinInput = "attn_options_freqs_sin_override";
inline constexpr std::string_view kLastPositionInput = "attn_options_last_valid_token_pos";
std::string mask_input(int64_t cache_len);
std::string k_cache_input(int64_t layer);
std::string v_cache_input(int64_t layer);

// Positions in the method's signature. K caches of all layers come before the V caches.
inline constexpr int64_t kTokensIndex = 0, kMaskIndex = 1, kCosIndex = 2, kSinIndex = 3,
                         kFirstCacheIndex = 4;
inline constexpr int64_t kFirstKvOutput = 1;  // output 0 is the logits

struct NamedType {
  std::string name;
  TensorType type;
};

// Inputs:  tokens int32[1,T], mask [1,T,C+T], cos [T,rope_dim], sin [T,rope_dim],
//          L K caches [1,K,C,d], L V caches [1,K,C,d], then with last_logits_only
//          last_valid_token_pos int64[1] (int32 inside a Core ML package, which has no int64).
// Outputs: logits [1,1,V] or [1,T,V], L new K [1,K,T,d] (after RoPE), L new V [1,K,T,d].
struct MethodInterface {
  std::vector<NamedType> inputs, outputs;
};

// Checks the sizes; `dtype` is the model's.
Result<MethodInterface> method_interface(const Params& params, const MethodShape& shape,
                                         DType dtype);

}  // namespace diptych::llama
