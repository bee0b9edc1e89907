// The constant methods of an exported file: what a runner must know beyond the signatures.
// Source: _get_metadata() in upstream's export_static_llm_coreml.py; what is ours stands behind.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "contract/model.h"
#include "tensor/weight.h"

namespace diptych::contract {

// One of a model's RoPE tables: a row a position, [max_context_len, rope_width].
struct RopeTables {
  WeightRef cos, sin;
};

// A method without inputs that gives an integer, a truth or a tensor (int64, or the dtype of the
// tables).
struct ConstantMethod {
  std::string name;
  std::variant<int64_t, bool, WeightRef> value;
};

// Names of the constants that describe one method: bare in a file with one method, with what
// describes it before them in others ("decode_mask_specs"). Writer and reader use these.
inline constexpr std::string_view kTokensPlace = "tokens_input_index";
inline constexpr std::string_view kCosPlace = "freqs_cos_input_index";
inline constexpr std::string_view kSinPlace = "freqs_sin_input_index";
inline constexpr std::string_view kLastPositionPlace = "last_valid_token_pos_input_index";
inline constexpr std::string_view kMaskSpecs = "mask_specs";       // [classes, 2]: input, C
inline constexpr std::string_view kCacheSpecs = "kv_cache_specs";  // [layers, 5]: K input, K
                                                                   // output, V input, V output, C
inline constexpr std::string_view kAllLogits = "generate_full_logits";
// By layer, where layers differ: which RoPE table (kNoRope: none), and the window's positions (0:
// none).
inline constexpr std::string_view kLayerRope = "layer_rope_tables";
inline constexpr int64_t kNoRope = -1;
inline constexpr std::string_view kLayerWindows = "layer_windows";
// Of the file, where masks are finite: what hides a column.
inline constexpr std::string_view kHiddenEntry = "mask_hidden_value";
std::string constant_name(const Method& method, std::string_view constant);
// "freqs_cos", "freqs_sin" of the first table; "freqs_cos_1" and so on of others.
std::string rope_constant(std::string_view function, size_t table);

// In upstream's order. Row i of kv_cache_specs is layer i, for any number of layers. Ours follow:
// get_max_context_len, what hides a column where that is finite, how layers differ, and for each
// method the places of its tokens and its last position (where there is that input) and whether it
// gives all logits.
//
// `methods` have valid lengths; of each of model.rope_tables() there is one in `tables`.
std::vector<ConstantMethod> constant_methods(const Model& model, std::span<const Method> methods,
                                             std::span<const RopeTables> tables);

}  // namespace diptych::contract
