#include "card/generation_defaults.h"

#include <limits>

namespace diptych::card {

namespace {

bool is_said(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && !found->is_null();
}

Status read_number(const Json& config, const char* key, double low, double high,
                   std::optional<double>& number) {
  if (!is_said(config, key)) return {};
  number = TRY(json_number(config, key));
  if (*number >= low && *number <= high) return {};
  return invalid_data("\"{}\" is {}, expected {} to {}", key, *number, low, high);
}

}  // namespace

Result<GenerationDefaults> read_generation_defaults(const Json& config) {
  constexpr double kLargest = 1e6;
  constexpr double kSmallest = std::numeric_limits<float>::min();
  if (!config.is_object()) return invalid_data("expected an object");
  GenerationDefaults defaults;
  if (is_said(config, "do_sample")) defaults.do_sample = TRY(json_bool(config, "do_sample"));
  TRY(read_number(config, "temperature", 0, kLargest, defaults.temperature));
  if (is_said(config, "top_k")) {
    defaults.top_k = TRY(json_int(config, "top_k"));
    if (*defaults.top_k < 0) {
      return invalid_data("\"top_k\" is {}, expected 0 or more", *defaults.top_k);
    }
  }
  TRY(read_number(config, "top_p", 0, 1, defaults.top_p));
  TRY(read_number(config, "min_p", 0, 1, defaults.min_p));
  TRY(read_number(config, "repetition_penalty", kSmallest, kLargest, defaults.repetition_penalty));
  return defaults;
}

Json to_json(const GenerationDefaults& defaults) {
  Json json = Json::object();
  const auto say = [&](const char* key, const auto& value) {
    if (value) json[key] = *value;
  };
  say("do_sample", defaults.do_sample);
  say("temperature", defaults.temperature);
  say("top_k", defaults.top_k);
  say("top_p", defaults.top_p);
  say("min_p", defaults.min_p);
  say("repetition_penalty", defaults.repetition_penalty);
  return json;
}

}  // namespace diptych::card
