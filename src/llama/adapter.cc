#include "llama/adapter.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

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

  double factor() const {
    const auto r = static_cast<double>(rank);
    return alpha / (by_root ? std::sqrt(r) : r);
  }
};

// The value of a key; null where there is none.
Json value_at(const Json& config, std::string_view key) {
  const auto found = config.find(std::string(key));
  return found == config.end() ? Json() : *found;
}

Scale read_config(const Json& config, Problems& problems) {
  Scale scale;
  if (!config.is_object()) {
    problems.emplace_back("adapter_config.json: expected an object");
    return scale;
  }
  const auto at = [&](std::string_view key) { return value_at(config, key); };
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

// Which modules the configuration lets the adapter change. PEFT leaves out matrices of others;
// what was trained is then not what is used, so that they are refused here. Patterns instead of
// lists of names are not looked at: PEFT itself writes no matrices of others.
class Targets {
 public:
  Targets(const Json& config, Problems& problems) {
    if (!config.is_object()) return;
    const auto read = [&](std::string_view key, auto& list, const auto& fits,
                          const char* expected) {
      const Json value = value_at(config, key);
      const bool is_pattern = value.is_string() && key != kLayers;
      if (value.is_null() || is_pattern) return;
      for (const Json& one : value.is_array() ? value : Json::array({value})) {
        if (fits(one)) {
          list.push_back(one);
        } else {
          problems.push_back(
              fmt::format("{}: expected {}, found {}", key, expected, in_quotes(dump_json(one))));
          return;
        }
      }
      if (!list.empty()) given_.insert(key);
    };
    const auto is_name = [](const Json& value) { return value.is_string(); };
    const auto is_layer = [](const Json& value) { return value.is_number_integer(); };
    read(kModules, modules_, is_name, "names of modules");
    read(kExcluded, excluded_, is_name, "names of modules");
    read(kLayers, layers_, is_layer, "numbers of layers");
  }

  // The key that leaves a module out; empty where none does.
  std::string_view left_out_by(std::string_view module, int64_t layer) const {
    const auto names = [&](const std::string& name) {
      return module == name || module.ends_with("." + name);
    };
    if (std::any_of(excluded_.begin(), excluded_.end(), names)) return kExcluded;
    if (given_.contains(kModules) && std::none_of(modules_.begin(), modules_.end(), names))
      return kModules;
    if (given_.contains(kLayers) &&
        std::find(layers_.begin(), layers_.end(), layer) == layers_.end())
      return kLayers;
    return {};
  }

 private:
  static constexpr std::string_view kModules = "target_modules", kExcluded = "exclude_modules",
                                    kLayers = "layers_to_transform";
  std::vector<std::string> modules_, excluded_;
  std::vector<int64_t> layers_;
  std::set<std::string_view> given_;
};

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

class AdapterReader {
 public:
  AdapterReader(const Params& params, const Family* family, const Scale& scale,
                const Targets& targets, Problems& problems)
      : params_(params),
        fused_(family != nullptr && family->fused),
        scale_(scale),
        targets_(targets),
        problems_(problems) {
    adapter_.scale = scale.factor();
    adapter_.a.resize(static_cast<size_t>(params.n_layers));
    adapter_.b.resize(adapter_.a.size());
  }

  Adapter read(std::map<std::string, Pair> pairs) {
    for (size_t layer = 0; layer < adapter_.a.size(); ++layer) {
      std::set<std::string> taken;
      for (const TensorRow& row : layer_rows()) {
        if (row.kind != TensorKind::Linear) continue;
        const bool in_fused = fused_ && row.fusion != Fusion::None;
        std::string name = in_fused ? fused_name(row.fusion, Dialect::HuggingFace, layer)
                                    : row.name(Dialect::HuggingFace, layer);
        name.resize(name.size() - kWeight.size());
        const auto found = pairs.find(name);
        if (found == pairs.end()) continue;
        if (taken.insert(name).second) check_target(name, layer);
        add(row, layer, name, found->second, in_fused);
      }
      for (const std::string& name : taken) pairs.erase(name);
    }
    for (const auto& [name, pair] : pairs) {
      problems_.push_back(fmt::format("{}: the model has no such linear", in_quotes(name)));
    }
    return std::move(adapter_);
  }

 private:
  void check_target(const std::string& name, size_t layer) {
    const std::string_view key = targets_.left_out_by(name, static_cast<int64_t>(layer));
    if (key.empty()) return;
    problems_.push_back(
        fmt::format("{}: {} leaves it out, but its matrices are there", in_quotes(name), key));
  }

  void add(const TensorRow& row, size_t layer, const std::string& name, const Pair& pair,
           bool in_fused) {
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
    const Shape a{scale_.rank, shape[1]}, b{rows, scale_.rank};
    if (pair.a->shape() != a || pair.b->shape() != b || !is_float(pair.a->dtype()) ||
        !is_float(pair.b->dtype())) {
      problems_.push_back(fmt::format("{}: expected floats {} and {}, found {} and {}",
                                      in_quotes(name), to_string(a), to_string(b),
                                      to_string(pair.a->type()), to_string(pair.b->type())));
      return;
    }
    WeightRef mine = in_fused ? row_slice(pair.b, first, shape[0]) : pair.b;
    if (row.turned) mine = halves_to_pairs(std::move(mine), params_.head_dim, params_.rotated());
    adapter_.a[layer].*row.of_layer = pair.a;
    adapter_.b[layer].*row.of_layer = std::move(mine);
  }

  const Params& params_;
  const bool fused_;
  const Scale& scale_;
  const Targets& targets_;
  Problems& problems_;
  Adapter adapter_;
};

}  // namespace

Result<Adapter> read_adapter(const Json& config,
                             std::span<const std::pair<std::string, WeightRef>> tensors,
                             const Params& params, const Family* family) {
  Problems problems;
  const Scale scale = read_config(config, problems);
  const Targets targets(config, problems);
  auto pairs = pairs_of(tensors, problems);
  if (pairs.empty() && problems.empty()) problems.emplace_back("no matrices");
  Adapter adapter;
  if (scale.rank > 0) {
    adapter = AdapterReader(params, family, scale, targets, problems).read(std::move(pairs));
  }
  if (!problems.empty()) {
    return tl::unexpected(Error{
        ErrorCode::Unsupported, {}, "the adapter does not fit this model:", std::move(problems)});
  }
  return adapter;
}

size_t count_linears(const Adapter& adapter) {
  size_t count = 0;
  for (const LayerWeights& layer : adapter.a) {
    for (const TensorRow& row : layer_rows()) count += layer.*row.of_layer ? 1 : 0;
  }
  return count;
}

Status merge_adapter(const Adapter& adapter, LlamaWeights& weights) {
  for (size_t layer = 0; layer < adapter.a.size(); ++layer) {
    for (const TensorRow& row : layer_rows()) {
      const WeightRef& a = adapter.a[layer].*row.of_layer;
      if (!a) continue;
      WeightRef& target = weights.layers[layer].*row.of_layer;
      target = TRY(add_low_rank(target, a, adapter.b[layer].*row.of_layer, adapter.scale));
    }
  }
  return {};
}

}  // namespace diptych::llama
