#include "contract/signature.h"

#include <set>

namespace diptych::contract {
namespace {

// Keeps every tensor of a method far below 2^63 bytes; positions must be exact in fp32 anyway.
constexpr int64_t kMaxLength = int64_t{1} << 24;

// Options of upstream's attention are inputs under this name and their path.
constexpr std::string_view kOptions = "attn_options_";

Status check_length(std::string_view what, int64_t length) {
  if (length >= 1 && length <= kMaxLength) return {};
  return invalid_argument("{}: expected 1 to {}, found {}", what, kMaxLength, length);
}

Status check_lengths(const Model& model, const Method& method) {
  TRY(check_length("tokens per call", method.tokens));
  std::set<int64_t> lengths;
  for (const LayerClass& layers : model.classes) {
    TRY(check_length("cache length", layers.cache_len));
    // Masks are told apart by it.
    if (!lengths.insert(layers.cache_len).second) {
      return invalid_argument("two classes of layers have caches of {}", layers.cache_len);
    }
  }
  return {};
}

// Upstream knows one table; the others' numbers follow.
std::string rope_option(std::string_view function, size_t table) {
  const std::string name = fmt::format("freqs_{}_override", function);
  return table == 0 ? name : fmt::format("{}_{}", name, table);
}

constexpr std::string_view kLastPosition = "last_valid_token_pos";

class SignatureWriter {
 public:
  SignatureWriter(const Model& model, const Method& method) : model_(model), method_(method) {}

  Signature write() {
    Places& at = result_.places;
    const int64_t tokens = method_.tokens;
    at.tokens = input("tokens", {DType::Int32, {1, tokens}});
    for (const LayerClass& layers : model_.classes) {
      at.masks.push_back(input(fmt::format("{}masks_{}", kOptions, layers.cache_len),
                               {model_.dtype, {1, tokens, layers.cache_len + tokens}}));
    }
    const TensorType rope{model_.dtype, {tokens, model_.rope_width}};
    for (size_t table = 0; table < model_.rope_tables(); ++table) {
      at.cos.push_back(input(fmt::format("{}{}", kOptions, rope_option("cos", table)), rope));
      at.sin.push_back(input(fmt::format("{}{}", kOptions, rope_option("sin", table)), rope));
    }
    at.key_inputs = caches(0);
    at.value_inputs = caches(1);
    if (!method_.all_logits) {
      at.last_position = input(fmt::format("{}{}", kOptions, kLastPosition), {DType::Int64, {1}});
    }
    const int64_t rows = method_.all_logits ? tokens : 1;
    at.logits = output("logits", {model_.dtype, {1, rows, model_.vocab_size}});
    at.key_outputs = fresh('k');
    at.value_outputs = fresh('v');
    return std::move(result_);
  }

 private:
  size_t input(std::string name, TensorType type) {
    result_.inputs.push_back({std::move(name), std::move(type)});
    return result_.inputs.size() - 1;
  }
  size_t output(std::string name, TensorType type) {
    result_.outputs.push_back({std::move(name), std::move(type)});
    return result_.outputs.size() - 1;
  }
  TensorType cache(int64_t length) const {
    return {model_.dtype, {1, model_.kv_heads, length, model_.head_dim}};
  }
  // The caches of all layers; upstream numbers keys 0 and values 1.
  std::vector<size_t> caches(int kind) {
    std::vector<size_t> places;
    for (size_t layer = 0; layer < model_.layers(); ++layer) {
      places.push_back(input(fmt::format("{}in_cache_state_{}_l{}_h0", kOptions, kind, layer),
                             cache(model_.class_of(layer).cache_len)));
    }
    return places;
  }
  std::vector<size_t> fresh(char kind) {
    std::vector<size_t> places;
    for (size_t layer = 0; layer < model_.layers(); ++layer) {
      places.push_back(output(fmt::format("new_{}_{}", kind, layer), cache(method_.tokens)));
    }
    return places;
  }

  const Model& model_;
  const Method& method_;
  Signature result_;
};

}  // namespace

Result<Signature> signature(const Model& model, const Method& method) {
  TRY(check_lengths(model, method));
  return SignatureWriter(model, method).write();
}

Trees trees(const Model& model, const Method& method) {
  using pte::TreeSpec;
  using Members = std::vector<std::pair<TreeSpec::Key, TreeSpec>>;
  const auto caches = [&] {
    Members members;
    for (size_t layer = 0; layer < model.layers(); ++layer) {
      members.emplace_back(fmt::format("l{},h0", layer), TreeSpec::leaf());
    }
    return TreeSpec::dict(std::move(members));
  };
  const auto key_and_value_caches = [&] { return TreeSpec::tuple({caches(), caches()}); };
  Members masks;
  for (const LayerClass& layers : model.classes) {
    masks.emplace_back(layers.cache_len, TreeSpec::leaf());
  }
  Members options = {{"masks", TreeSpec::dict(std::move(masks))}};
  for (size_t table = 0; table < model.rope_tables(); ++table) {
    options.emplace_back(rope_option("cos", table), TreeSpec::leaf());
    options.emplace_back(rope_option("sin", table), TreeSpec::leaf());
  }
  options.emplace_back("in_cache_state", key_and_value_caches());
  if (!method.all_logits) options.emplace_back(std::string(kLastPosition), TreeSpec::leaf());
  return {TreeSpec::arguments({TreeSpec::leaf(), TreeSpec::dict(std::move(options))}),
          TreeSpec::tuple(
              {TreeSpec::leaf(), TreeSpec::dict({{"out_cache_state", key_and_value_caches()}})})};
}

}  // namespace diptych::contract
