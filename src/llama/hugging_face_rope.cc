#include "llama/hugging_face_rope.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "base/json.h"

namespace diptych::llama {

namespace {

// What one of the two objects comes to, together with the keys beside it.
struct Rope {
  std::string type = "default";
  double theta = 0;
  int64_t rotated = 0;  // channels of each head
  double factor = 1;
  double low = 1, high = 4, trained = 8192;        // llama3; longrope has the last
  std::vector<float> short_factors, long_factors;  // longrope
  double attention_factor = 1;

  bool operator==(const Rope&) const = default;
};

// A number that may stand in the object and beside it, or not at all; perhaps null.
double in_either(std::string_view key, double fallback, bool nullable, ParamReader& inner,
                 ParamReader& outer) {
  const bool twice = inner.find(key, nullable) != nullptr && outer.find(key, nullable) != nullptr;
  const double outside = outer.positive(key, fallback, nullable);
  const double inside = inner.positive(key, outside, nullable);
  if (twice && inside != outside) {
    inner.problem(fmt::format("{}: {} contradicts the {} outside", key, inside, outside));
  }
  return inside;
}

std::string type_in(ParamReader& inner) {
  const std::string older = inner.text("type", "");
  const std::string newer = inner.text("rope_type", older);
  if (!older.empty() && newer != older) {
    inner.problem(
        fmt::format("rope_type {} contradicts type {}", shown(Json(newer)), shown(Json(older))));
  }
  return newer.empty() ? "default" : newer;
}

void read_llama3(ParamReader& inner, ParamReader& outer, Rope* rope) {
  rope->factor = inner.required_positive("factor");
  rope->low = inner.required_positive("low_freq_factor");
  rope->high = inner.required_positive("high_freq_factor");
  constexpr std::string_view kTrained = "original_max_position_embeddings";
  const bool said = inner.find(kTrained, true) != nullptr || outer.find(kTrained, true) != nullptr;
  rope->trained = said ? in_either(kTrained, 1, true, inner, outer)
                       : outer.positive("max_position_embeddings", 0);
  if (rope->trained == 0) inner.problem(fmt::format("{}: missing", kTrained));
}

// Channels of each head that are rotated, cut as Python cuts them.
int64_t rotated_channels(double part, int64_t head_dim, ParamReader& inner) {
  if (part == 1) return head_dim;
  const auto channels = static_cast<int64_t>(part * static_cast<double>(head_dim));
  if (part <= 1 && channels >= 2 && channels % 2 == 0) return channels;
  inner.problem(fmt::format("partial_rotary_factor: {} of {} channels, expected an even number",
                            part, head_dim));
  return head_dim;
}

// One factor for each of the frequencies.
std::vector<float> read_factors(std::string_view key, int64_t rotated, ParamReader& inner) {
  std::vector<float> factors;
  const Json* list = inner.find(key, false);
  const auto bad = [](const Json& factor) {
    return !factor.is_number() || !(factor.get<double>() >= 1e-6 && factor.get<double>() <= 1e6);
  };
  if (list == nullptr || !list->is_array() || list->size() != static_cast<size_t>(rotated / 2) ||
      std::any_of(list->begin(), list->end(), bad)) {
    inner.problem(fmt::format("{}: expected a list of {} positive numbers", key, rotated / 2));
    return factors;
  }
  for (const Json& factor : *list) factors.push_back(factor.get<float>());
  return factors;
}

void read_longrope(int64_t rotated, ParamReader& inner, ParamReader& outer, Rope* rope) {
  rope->short_factors = read_factors("short_factor", rotated, inner);
  rope->long_factors = read_factors("long_factor", rotated, inner);
  constexpr std::string_view kTrained = "original_max_position_embeddings";
  rope->trained = in_either(kTrained, 0, true, inner, outer);
  if (rope->trained <= 1) inner.problem(fmt::format("{}: expected more than 1", kTrained));
  // By how much the context was made longer, if nothing says it.
  const double longest = outer.positive("max_position_embeddings", rope->trained);
  const double factor = inner.positive("factor", longest / rope->trained, true);
  const double suggested =
      factor > 1 ? std::sqrt(1 + std::log(factor) / std::log(rope->trained)) : 1;
  rope->attention_factor = inner.positive("attention_factor", suggested, true);
}

// `object` may be an empty one.
Rope read_object(const Json& object, double default_theta, int64_t head_dim, ParamReader& inner,
                 ParamReader& outer) {
  Rope rope;
  rope.theta = in_either("rope_theta", default_theta, false, inner, outer);
  rope.rotated =
      rotated_channels(in_either("partial_rotary_factor", 1, true, inner, outer), head_dim, inner);
  rope.type = type_in(inner);
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      inner.problem(fmt::format("{}: parameters for layers of one type are not implemented",
                                shown(Json(key))));
    }
  }
  if (rope.type == "linear") {
    rope.factor = inner.required_positive("factor");
  } else if (rope.type == "llama3") {
    read_llama3(inner, outer, &rope);
  } else if (rope.type == "longrope" || rope.type == "su") {  // its name in Phi-3's first files
    rope.type = "longrope";
    read_longrope(rope.rotated, inner, outer, &rope);
  } else if (rope.type != "default") {
    inner.problem(fmt::format("RoPE type {}: expected default, linear, llama3 or longrope",
                              shown(Json(rope.type))));
  } else if (inner.positive("factor", 1, true) != 1) {
    inner.problem("factor: without a rope_type that scales");
  }
  return rope;
}

// The same of the object under `key`; nothing when there is none.
std::optional<Rope> read_under(const Json& config, const char* key, double default_theta,
                               int64_t head_dim, ParamReader& outer) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (!found->is_object()) {
    outer.problem(fmt::format("{}: expected an object, found {}", key, shown(*found)));
    return std::nullopt;
  }
  if (found->empty()) return std::nullopt;
  ParamReader inner(*found);
  Rope rope = read_object(*found, default_theta, head_dim, inner, outer);
  for (std::string& problem : inner.take_problems()) {
    outer.problem(fmt::format("{}: {}", key, problem));
  }
  return rope;
}

}  // namespace

RopeParams read_hugging_face_rope(const Json& config, double default_theta, int64_t head_dim,
                                  ParamReader& reader) {
  const auto read = [&](const char* key) {
    return read_under(config, key, default_theta, head_dim, reader);
  };
  const std::optional<Rope> newer = read("rope_parameters"), older = read("rope_scaling");
  if (newer && older && *newer != *older) {
    reader.problem("rope_parameters contradicts rope_scaling; remove the one that is wrong");
  }
  Rope rope;
  if (newer || older) {
    rope = newer ? *newer : *older;
  } else {
    const Json nothing = Json::object();
    ParamReader inner(nothing);
    rope = read_object(nothing, default_theta, head_dim, inner, reader);
    for (std::string& problem : inner.take_problems()) reader.problem(std::move(problem));
  }
  RopeParams table;
  table.theta = rope.theta;
  if (rope.rotated != head_dim) table.channels = rope.rotated;
  if (rope.type == "linear") table.linear_factor = rope.factor;
  if (rope.type == "longrope") {
    table.factors = std::move(rope.short_factors);
    table.long_factors = std::move(rope.long_factors);
    table.attention_factor = rope.attention_factor;
    table.trained_context = rope.trained;
  }
  if (rope.type != "llama3") return table;
  table.llama3 = true;
  table.scale_factor = rope.factor;
  table.low_freq_factor = rope.low;
  table.high_freq_factor = rope.high;
  table.trained_context = rope.trained;
  return table;
}

}  // namespace diptych::llama
