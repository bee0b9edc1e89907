#include "llama/adapter.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/in_quotes.h"
#include "base/json.h"
#include "tensor/low_rank.h"
#include "tensor/views.h"

namespace diptych::llama {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight", kWeight = ".weight";

using Problems = std::vector<std::string>;

// A switch of the configuration that must be off: false, null, "none" or an empty list or object.
bool is_off(const Json& value) {
  if (value.is_null() || value == false || value == "none") return true;
  return (value.is_array() || value.is_object()) && value.empty();
}

// What of a configuration changes the mathematics beyond A, B and alpha.
constexpr std::string_view kMustBeOff[] = {
    "alora_invocation_tokens",
    "alpha_pattern",
    "bias",
    "fan_in_fan_out",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_dora",
    "use_qalora",
};
// How training began, where the base's weights are those of the base model.
constexpr std::string_view kPlainBeginnings[] = {"gaussian", "eva", "orthogonal"};

struct Scale {
  int64_t rank = 0;
  double alpha = 0;
  bool by_root = false;

  double of(int64_t rank_found) const {
    const auto r = static_cast<double>(rank_found);
    return alpha / (by_root ? std::sqrt(r) : r);
  }
};

Scale read_config(const Json& config, Problems& problems) {
  Scale scale;
  if (!config.is_object()) {
    problems.emplace_back("adapter_config.json: expected an object");
    return scale;
  }
  const auto at = [&](std::string_view key) {
    const auto found = config.find(std::string(key));
    return found == config.end() ? Json() : *found;
  };
  if (const Json type = at("peft_type"); type != "LORA") {
    problems.push_back(fmt::format("peft_type: expected \"LORA\", found {}", dump_json(type)));
  }
  for (const std::string_view key : kMustBeOff) {
    if (const Json value = at(key); !is_off(value)) {
      problems.push_back(
          fmt::format("{}: {} is not implemented", key, in_quotes(dump_json(value))));
    }
  }
  const Json beginning = at("init_lora_weights");
  if (beginning.is_string() &&
      std::find(std::begin(kPlainBeginnings), std::end(kPlainBeginnings),
                beginning.get<std::string>()) == std::end(kPlainBeginnings)) {
    problems.push_back(
        fmt::format("init_lora_weights: {} changes the base's weights, which is not "
                    "implemented; save the adapter converted to plain LoRA",
                    in_quotes(beginning.get<std::string>())));
  }
  const Json rank = at("r"), alpha = at("lora_alpha");
  if (rank.is_number_integer() && rank >= 1 && rank <= 65536) {
    scale.rank = rank.get<int64_t>();
  } else {
    problems.emplace_back("r: expected a rank from 1 on");
  }
  if (alpha.is_number() && std::isfinite(alpha.get<double>())) {
    scale.alpha = alpha.get<double>();
  } else {
    problems.emplace_back("lora_alpha: expected a number");
  }
  scale.by_root = at("use_rslora") == true;
  return scale;
}

// The two matrices of a module.
struct Pair {
  WeightRef a, b;
};

std::map<std::string, Pair> pairs_of(std::span<const std::pair<std::string, WeightRef>> tensors,
                                     Problems& problems) {
  std::map<std::string, Pair> pairs;
  for (const auto& [name, weight] : tensors) {
    std::string_view module = name;
    if (module.starts_with(kPrefix)) module.remove_prefix(kPrefix.size());
    const bool is_a = module.ends_with(kA), is_b = module.ends_with(kB);
    if (!is_a && !is_b) {
      problems.push_back(
          fmt::format("{}: expected a name that ends in {} or {}", in_quotes(name), kA, kB));
      continue;
    }
    module.remove_suffix(is_a ? kA.size() : kB.size());
    Pair& pair = pairs[std::string(module)];
    WeightRef& half = is_a ? pair.a : pair.b;
    if (half) problems.push_back(fmt::format("{}: it is there twice", in_quotes(name)));
    half = weight;
  }
  return pairs;
}

// What is added to a matrix of the model.
struct Addition {
  WeightRef* target;
  WeightRef a, b;
};

class Merger {
 public:
  Merger(const Params& params, const Family* family, LlamaWeights& weights, Problems& problems)
      : params_(params),
        fused_(family != nullptr && family->fused),
        weights_(weights),
        problems_(problems) {}

  void add(const std::map<std::string, Pair>& pairs, int64_t rank) {
    auto left = pairs;
    for (size_t layer = 0; layer < weights_.layers.size(); ++layer) {
      for (const TensorRow& row : layer_rows()) {
        if (row.kind != TensorKind::Linear) continue;
        const bool in_fused = fused_ && row.fusion != Fusion::None;
        std::string name = in_fused ? fused_name(row.fusion, Dialect::HuggingFace, layer)
                                    : row.name(Dialect::HuggingFace, layer);
        name.resize(name.size() - kWeight.size());
        const auto found = pairs.find(name);
        if (found == pairs.end()) continue;
        left.erase(name);
        add(row, layer, name, found->second, rank, in_fused);
      }
    }
    for (const auto& [name, pair] : left) {
      problems_.push_back(fmt::format("{}: the model has no such linear", in_quotes(name)));
    }
  }

  std::vector<Addition> additions;

 private:
  void add(const TensorRow& row, size_t layer, const std::string& name, const Pair& pair,
           int64_t rank, bool in_fused) {
    if (!pair.a || !pair.b) {
      problems_.push_back(
          fmt::format("{}: lora_{} is missing", in_quotes(name), pair.a ? "B" : "A"));
      return;
    }
    const Shape shape = row.shape(params_);
    int64_t first = 0, rows = shape[0];
    if (in_fused) {
      rows = 0;
      for (const TensorRow* part : fused_parts(row.fusion)) {
        if (part == &row) first = rows;
        rows += part->shape(params_)[0];
      }
    }
    const Shape a{rank, shape[1]}, b{rows, rank};
    if (pair.a->shape() != a || pair.b->shape() != b || !is_float(pair.a->dtype()) ||
        !is_float(pair.b->dtype())) {
      problems_.push_back(fmt::format("{}: expected floats {} and {}, found {} and {}",
                                      in_quotes(name), to_string(a), to_string(b),
                                      to_string(pair.a->type()), to_string(pair.b->type())));
      return;
    }
    WeightRef mine = in_fused ? row_slice(pair.b, first, shape[0]) : pair.b;
    if (row.turned) mine = halves_to_pairs(std::move(mine), params_.head_dim);
    additions.push_back({&row.in(weights_, layer), pair.a, std::move(mine)});
  }

  const Params& params_;
  const bool fused_;
  LlamaWeights& weights_;
  Problems& problems_;
};

}  // namespace

Result<size_t> merge_adapter(const Json& config,
                             std::span<const std::pair<std::string, WeightRef>> tensors,
                             const Params& params, const Family* family, LlamaWeights& weights) {
  Problems problems;
  const Scale scale = read_config(config, problems);
  const auto pairs = pairs_of(tensors, problems);
  if (pairs.empty() && problems.empty()) problems.emplace_back("no matrices");
  Merger merger(params, family, weights, problems);
  if (scale.rank > 0) merger.add(pairs, scale.rank);
  if (!problems.empty()) {
    return tl::unexpected(Error{ErrorCode::Unsupported,
                                {},
                                "the adapter cannot be merged into this model:",
                                std::move(problems)});
  }
  for (Addition& addition : merger.additions) {
    *addition.target = TRY(
        add_low_rank(*addition.target, addition.a, std::move(addition.b), scale.of(scale.rank)));
  }
  return merger.additions.size();
}

}  // namespace diptych::llama
