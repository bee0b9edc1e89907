#include "llama/interface.h"

namespace diptych::llama {
namespace {

// Keeps every tensor of a method far below 2^63 bytes; positions must be exact in fp32 anyway.
constexpr int64_t kMaxLength = int64_t{1} << 24;

Status check_length(std::string_view what, int64_t length) {
  if (length >= 1 && length <= kMaxLength) return {};
  return invalid_argument("{}: expected 1 to {}, found {}", what, kMaxLength, length);
}

}  // namespace

std::string mask_input(int64_t cache_len) {
  return fmt::format("attn_options_masks_{}", cache_len);
}

std::string k_cache_input(int64_t layer) {
  return fmt::format("attn_options_in_cache_state_0_l{}_h0", layer);
}

std::string v_cache_input(int64_t layer) {
  return fmt::format("attn_options_in_cache_state_1_l{}_h0", layer);
}

Result<MethodInterface> method_interface(const Params& params, const MethodShape& shape,
                                         DType dtype) {
  const int64_t tokens = shape.tokens, cache = shape.cache_len;
  TRY(check_length("tokens per call", tokens));
  TRY(check_length("cache length", cache));

  MethodInterface method;
  const TensorType rope{dtype, {tokens, params.rope_dim()}};
  const TensorType cached{dtype, {1, params.n_kv_heads, cache, params.head_dim}};
  const TensorType fresh{dtype, {1, params.n_kv_heads, tokens, params.head_dim}};
  method.inputs = {
      {std::string(kTokensInput), {DType::Int32, {1, tokens}}},
      {mask_input(cache), {dtype, {1, tokens, cache + tokens}}},
      {std::string(kCosInput), rope},
      {std::string(kSinInput), rope},
  };
  for (int64_t i = 0; i < params.n_layers; ++i) method.inputs.push_back({k_cache_input(i), cached});
  for (int64_t i = 0; i < params.n_layers; ++i) method.inputs.push_back({v_cache_input(i), cached});
  if (shape.last_logits_only) {
    method.inputs.push_back({std::string(kLastPositionInput), {DType::Int64, {1}}});
  }

  const int64_t rows = shape.last_logits_only ? 1 : tokens;
  method.outputs = {{"logits", {dtype, {1, rows, params.vocab_size}}}};
  for (const char kind : {'k', 'v'}) {
    for (int64_t i = 0; i < params.n_layers; ++i) {
      method.outputs.push_back({fmt::format("new_{}_{}", kind, i), fresh});
    }
  }
  return method;
}

}  // namespace diptych::llama
