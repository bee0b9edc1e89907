#include "card/generation_defaults.h"

#include <limits>

#include "base/json.h"

namespace diptych::card {

namespace {

// Reads members of an object and collects what is wrong with them.
class Reader {
 public:
  Reader(const Json& config, std::vector<std::string>& problems)
      : config_(config), problems_(problems) {}

  std::optional<bool> flag(const char* key) {
    return is_said(key) ? take(json_bool(config_, key)) : std::nullopt;
  }

  std::optional<double> number(const char* key, double low, double high) {
    if (!is_said(key)) return std::nullopt;
    const auto value = take(json_number(config_, key));
    if (!value || (*value >= low && *value <= high)) return value;
    problems_.push_back(fmt::format("\"{}\" is {}, expected {} to {}", key, *value, low, high));
    return std::nullopt;
  }

  std::optional<int64_t> count(const char* key) {
    if (!is_said(key)) return std::nullopt;
    const auto value = take(json_int(config_, key));
    if (!value || *value >= 0) return value;
    problems_.push_back(fmt::format("\"{}\" is {}, expected 0 or more", key, *value));
    return std::nullopt;
  }

 private:
  bool is_said(const char* key) const {
    const auto found = config_.find(key);
    return found != config_.end() && !found->is_null();
  }

  template <class T>
  std::optional<T> take(const Result<T>& value) {
    if (value) return *value;
    problems_.push_back(value.error().to_string());
    return std::nullopt;
  }

  const Json& config_;
  std::vector<std::string>& problems_;
};

}  // namespace

GenerationDefaults read_generation_defaults(const Json& config,
                                            std::vector<std::string>& problems) {
  constexpr double kLargest = 1e6;
  constexpr double kSmallest = std::numeric_limits<float>::min();
  GenerationDefaults defaults;
  if (!config.is_object()) {
    problems.emplace_back("expected an object");
    return defaults;
  }
  Reader reader(config, problems);
  defaults.do_sample = reader.flag("do_sample");
  defaults.temperature = reader.number("temperature", 0, kLargest);
  defaults.top_k = reader.count("top_k");
  defaults.top_p = reader.number("top_p", 0, 1);
  defaults.min_p = reader.number("min_p", 0, 1);
  defaults.repetition_penalty = reader.number("repetition_penalty", kSmallest, kLargest);
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
