#include "llama/metadata.h"

namespace diptych::llama {
namespace {

WeightRef index_tensor(int64_t index) { return constant_ints(DType::Int64, {1}, {index}); }

WeightRef mask_specs(const MethodShape& shape) {
  return constant_ints(DType::Int64, {1, 2}, {kMaskIndex, shape.cache_len});
}

WeightRef kv_cache_specs(int64_t layers, const MethodShape& shape) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < layers; ++i) {
    const int64_t row[] = {kFirstCacheIndex + i, kFirstKvOutput + i, kFirstCacheIndex + layers + i,
                           kFirstKvOutput + layers + i, shape.cache_len};
    rows.insert(rows.end(), std::begin(row), std::end(row));
  }
  return constant_ints(DType::Int64, {layers, 5}, rows);
}

// What stands before the names that describe a method.
std::string prefix_of(std::span<const MethodSpec> methods, const MethodSpec& method) {
  if (methods.size() == 1) return "";
  return (method.name == "forward" ? "decode" : method.name) + "_";
}

}  // namespace

std::vector<ConstantMethod> constant_methods(const Params& params, const RopeTables& tables,
                                             std::span<const MethodSpec> methods) {
  std::vector<ConstantMethod> constants = {
      {"vocab_size", params.vocab_size},
      {"head_dim", params.head_dim},
      {"n_heads_per_cache", params.n_kv_heads},
      {"freqs_cos", tables.cos},
      {"freqs_sin", tables.sin},
  };
  const bool single = methods.size() == 1;
  for (const MethodSpec& method : methods) {
    const std::string prefix = prefix_of(methods, method);
    const ConstantMethod length{single ? "forward_input_len" : prefix + "input_len",
                                method.shape.tokens};
    if (!single) constants.push_back(length);
    constants.push_back({prefix + "freqs_cos_input_index", index_tensor(kCosIndex)});
    constants.push_back({prefix + "freqs_sin_input_index", index_tensor(kSinIndex)});
    constants.push_back({prefix + "mask_specs", mask_specs(method.shape)});
    constants.push_back({prefix + "kv_cache_specs", kv_cache_specs(params.n_layers, method.shape)});
    if (single) constants.push_back(length);
  }
  constants.push_back({"get_max_context_len", tables.cos->type().shape[0]});
  for (const MethodSpec& method : methods) {
    const std::string prefix = prefix_of(methods, method);
    constants.push_back({prefix + "tokens_input_index", index_tensor(kTokensIndex)});
    if (method.shape.last_logits_only) {
      constants.push_back({prefix + "last_valid_token_pos_input_index",
                           index_tensor(kFirstCacheIndex + 2 * params.n_layers)});
    }
    constants.push_back({prefix + "generate_full_logits", !method.shape.last_logits_only});
  }
  return constants;
}

}  // namespace diptych::llama
