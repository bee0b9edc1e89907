#include "llama/layer_kinds.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/json.h"
#include "llama/hugging_face_rope.h"
#include "llama/layer_types.h"

namespace diptych::llama {

namespace {

// A layer's place in a pattern counts from 1: with a period of 6, the sixth is the first to end
// one.
bool ends_period(size_t layer, int64_t period) {
  return (static_cast<int64_t>(layer) + 1) % period == 0;
}

// What a model's layers are, each list by layer.
struct Kinds {
  std::vector<bool> slides, rotates;
  std::optional<int64_t> window;    // of those that slide
  std::optional<RopeParams> local;  // tables of those that slide, if they have any of their own

  explicit Kinds(const Params& params)
      : slides(static_cast<size_t>(params.n_layers), false), rotates(slides.size(), true) {}

  bool any_slides() const { return std::find(slides.begin(), slides.end(), true) != slides.end(); }
};

// Tables stand in the order in which layers first use them, so that the same model has the same
// whatever it was read from.
void set_layers(const Kinds& kinds, ParamReader& reader, Params* params) {
  const RopeParams global = params->ropes.front();
  std::vector<RopeParams> ropes;
  std::vector<LayerParams> layers;
  const auto table_of = [&](const RopeParams& rope) {
    const auto found = std::find(ropes.begin(), ropes.end(), rope);
    const auto index = static_cast<size_t>(found - ropes.begin());
    if (found == ropes.end()) ropes.push_back(rope);
    return index;
  };
  for (size_t i = 0; i < kinds.slides.size(); ++i) {
    LayerParams layer{{}, std::nullopt};
    if (kinds.slides[i]) layer.window = kinds.window;
    if (kinds.rotates[i])
      layer.rope = table_of(kinds.slides[i] && kinds.local ? *kinds.local : global);
    layers.push_back(layer);
  }
  if (ropes.empty())
    return reader.problem("no_rope_layers: no layer has RoPE, expected one at least");
  const bool uniform = std::all_of(layers.begin(), layers.end(),
                                   [](const LayerParams& layer) { return layer == LayerParams{}; });
  if (uniform) layers.clear();
  params->ropes = std::move(ropes);
  params->layers = std::move(layers);
}

// The list under `key`, of as many elements as the model has layers; nothing when there is none.
const Json* list_of_layers(const Json& config, const std::string& key, size_t layers,
                           ParamReader& reader) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return nullptr;
  if (found->is_array() && found->size() == layers) return &*found;
  reader.problem(
      fmt::format("{}: expected a list of {} layers, found {}", key, layers, shown(*found)));
  return nullptr;
}

void read_rotated(const Json& config, int64_t period, ParamReader& reader, Kinds* kinds) {
  const size_t count = kinds->rotates.size();
  period = reader.integer("no_rope_layer_interval", period, kMaxLayers);
  for (size_t i = 0; i < count; ++i) kinds->rotates[i] = !ends_period(i, period);
  const Json* list = list_of_layers(config, "no_rope_layers", count, reader);
  for (size_t i = 0; list != nullptr && i < count; ++i) {
    const Json& rotates = (*list)[i];
    if (rotates != 0 && rotates != 1) {
      reader.problem(fmt::format("no_rope_layers: expected 0 or 1, found {}", shown(rotates)));
      return;
    }
    kinds->rotates[i] = rotates == 1;
  }
}

void read_sliding(const Family& family, ParamReader& reader, Kinds* kinds) {
  const size_t count = kinds->slides.size();
  const bool may_slide = !family.window_switch || (reader.flag("use_sliding_window", false) &&
                                                   reader.find("sliding_window", true) != nullptr);
  int64_t period = family.full_every.value_or(1);
  if (family.local_rope_theta) {
    period = reader.integer("sliding_window_pattern", period, kMaxLayers);
  }
  for (size_t i = 0; i < count; ++i) {
    kinds->slides[i] = family.full_every ? !ends_period(i, period) : !kinds->rotates[i];
    kinds->slides[i] = kinds->slides[i] && may_slide;
  }
  if (const auto types = read_layer_types(reader, static_cast<int64_t>(count))) {
    kinds->slides = *types;
    if (kinds->any_slides() && !may_slide) {
      reader.problem("layer_types: \"sliding_attention\", but the windows are off");
    }
  }
  if (!kinds->any_slides()) return;
  kinds->window = reader.integer("sliding_window", family.window.value_or(0), kMaxWindow);
  if (kinds->window == 0) reader.problem("sliding_window: missing");
}

// The parameters of one type of layers in rope_parameters, which has an object for each.
Json of_type(const Json& config, const char* type) {
  const auto all = config.find("rope_parameters");
  if (all == config.end() || !all->is_object()) return nullptr;
  const auto found = all->find(type);
  return found == all->end() ? Json() : *found;
}

// Tables of full and of sliding layers, from rope_parameters or from older keys.
void read_ropes(const Json& config, const Family& family, ParamReader& reader, Params* params,
                Kinds* kinds) {
  const auto newer = config.find("rope_parameters");
  if (newer != config.end() && newer->is_object()) {
    for (const auto& [key, value] : newer->items()) {
      if (key == "full_attention" || key == "sliding_attention") continue;
      reader.problem(
          fmt::format("rope_parameters: {}, expected \"full_attention\" and "
                      "\"sliding_attention\"",
                      shown(Json(key))));
    }
  }
  Json global = config;
  global["rope_parameters"] = of_type(config, "full_attention");
  params->ropes = {read_hugging_face_rope(global, family.rope_theta, params->head_dim, reader)};
  Json local = {{"rope_parameters", of_type(config, "sliding_attention")}};
  if (const Json* theta = reader.find("rope_local_base_freq", false)) local["rope_theta"] = *theta;
  ParamReader local_reader(local);
  kinds->local =
      read_hugging_face_rope(local, *family.local_rope_theta, params->head_dim, local_reader);
  for (const std::string& problem : local_reader.take_problems()) {
    reader.problem("RoPE of sliding layers: " + problem);
  }
}

}  // namespace

void read_layer_kinds(const Json& config, const Family& family, ParamReader& reader,
                      Params* params) {
  Kinds kinds(*params);
  if (family.no_rope_every) read_rotated(config, *family.no_rope_every, reader, &kinds);
  read_sliding(family, reader, &kinds);
  if (family.local_rope_theta) {
    read_ropes(config, family, reader, params, &kinds);
  } else {
    params->ropes = {read_hugging_face_rope(config, family.rope_theta, params->head_dim, reader)};
  }
  set_layers(kinds, reader, params);
}

void read_gguf_layer_kinds(const Json& metadata, const std::string& prefix, const Family& family,
                           ParamReader& reader, Params* params) {
  Kinds kinds(*params);
  const size_t count = kinds.slides.size();
  if (family.no_rope_every) {
    for (size_t i = 0; i < count; ++i) kinds.rotates[i] = !ends_period(i, *family.no_rope_every);
  }
  const std::string key = prefix + "attention.sliding_window";
  const auto window = json_int(metadata, key);
  if (metadata.contains(key) && (!window || *window < 0 || *window > kMaxWindow)) {
    reader.problem(fmt::format("{}: expected 0 to {}", key, kMaxWindow));
  }
  kinds.window = window ? std::optional(*window) : family.gguf_window;
  if (kinds.window.value_or(0) == 0) return set_layers(kinds, reader, params);
  const std::string pattern = key + "_pattern";
  const auto listed = metadata.find(pattern);
  if (listed != metadata.end() && listed->is_array()) {
    const Json* list = list_of_layers(metadata, pattern, count, reader);
    for (size_t i = 0; list != nullptr && i < count; ++i) kinds.slides[i] = (*list)[i] == true;
  } else {
    const int64_t period = reader.integer(pattern, family.full_every.value_or(1), kMaxLayers);
    for (size_t i = 0; i < count; ++i) kinds.slides[i] = !ends_period(i, period);
  }
  if (family.local_rope_theta) {
    kinds.local = RopeParams{};
    kinds.local->theta = reader.positive(prefix + "rope.freq_base_swa", *family.local_rope_theta);
  }
  set_layers(kinds, reader, params);
}

}  // namespace diptych::llama
