// The constant methods of an exported file: what a runner must know beyond the signatures.
// Source: _get_metadata() in upstream's export_static_llm_coreml.py; what is ours stands behind.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "llama/interface.h"
#include "llama/params.h"
#include "llama/rope.h"
#include "tensor/weight.h"

namespace diptych::llama {

struct MethodSpec {
  std::string name;  // "forward", "prefill", ...
  MethodShape shape;
};

// A method without inputs that gives an integer, a truth or a tensor (int64, or the dtype of the
// tables).
struct ConstantMethod {
  std::string name;
  std::variant<int64_t, bool, WeightRef> value;
};

// In upstream's order. With one method the names that describe it are bare and its length is
// "forward_input_len"; with more they start with "decode_" for the method "forward" and with the
// method's own name for the others. Row i of kv_cache_specs is layer i, for any number of layers:
// (K input, K output, V input, V output, cache length).
//
// Ours follow: get_max_context_len; and for each method, named in the same way, tokens_input_index,
// last_valid_token_pos_input_index (where there is that input), and generate_full_logits: whether
// logits are those of all tokens or of one.
std::vector<ConstantMethod> constant_methods(const Params& params, const RopeTables& tables,
                                             std::span<const MethodSpec> methods);

}  // namespace diptych::llama
