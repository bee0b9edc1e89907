// Reads a model's parameters from JSON, whichever dialect its keys are in.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "llama/params.h"

namespace diptych::llama {

// Far above any model in existence, and low enough that the bytes of a whole model (fewer than
// 2^60) fit 64 bits, so that nobody has to check sizes derived from Params.
inline constexpr int64_t kMaxLayers = 1024;
inline constexpr int64_t kMaxDim = int64_t{1} << 20;
inline constexpr int64_t kMaxInner = int64_t{1} << 22;  // hidden_dim and n_heads * head_dim
inline constexpr int64_t kMaxVocab = int64_t{1} << 24;
inline constexpr int64_t kMaxWindow = INT32_MAX;

// A value as it stands in an error, shortened.
inline std::string shown(const Json& value) {
  std::string text = dump_json(value);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

// Reads members of a JSON object and collects what is wrong with them, so that one error says all.
class ParamReader {
 public:
  explicit ParamReader(const Json& json) : json_(json) {}

  // The value of a key, or nothing when it is absent; null counts as absent where upstream's
  // default is null.
  const Json* find(std::string_view key, bool nullable) const {
    const auto at = json_.find(std::string(key));
    if (at == json_.end() || (nullable && at->is_null())) return nullptr;
    return &*at;
  }

  int64_t integer(std::string_view key, int64_t fallback, int64_t max, bool nullable = false) {
    const Json* value = find(key, nullable);
    if (value == nullptr) return fallback;
    const auto number = json_int(json_, key);
    if (!number) {
      wrong(key, "a whole number", *value);
    } else if (*number < 1 || *number > max) {
      wrong(key, fmt::format("1 to {}", max), *value);
    } else {
      return *number;
    }
    return fallback;
  }

  // An integer, of which some families have a default; 1 when it is missing or wrong.
  int64_t required(std::string_view key, int64_t max, std::optional<int64_t> fallback = {}) {
    if (find(key, false) == nullptr && !fallback) problem(fmt::format("{}: missing", key));
    return integer(key, fallback.value_or(1), max);
  }

  double positive(std::string_view key, double fallback, bool nullable = false) {
    const Json* value = find(key, nullable);
    if (value == nullptr) return fallback;
    const auto number = json_number(json_, key);
    if (number && std::isfinite(*number) && *number > 0 && *number < 1e30) return *number;
    wrong(key, "a positive number", *value);
    return fallback;
  }

  // A number without a default; 1 when it is missing or wrong.
  double required_positive(std::string_view key) {
    if (find(key, true) == nullptr) problem(fmt::format("{}: missing", key));
    return positive(key, 1, true);
  }

  std::string text(std::string_view key, std::string_view fallback) {
    const Json* value = find(key, true);
    if (value == nullptr) return std::string(fallback);
    if (value->is_string()) return value->get<std::string>();
    wrong(key, "a text", *value);
    return std::string(fallback);
  }

  bool flag(std::string_view key, bool fallback) {
    const Json* value = find(key, false);
    if (value == nullptr) return fallback;
    if (value->is_boolean()) return value->get<bool>();
    wrong(key, "true or false", *value);
    return fallback;
  }

  void problem(std::string text) { problems_.push_back(std::move(text)); }
  bool clean() const { return problems_.empty(); }
  std::vector<std::string> take_problems() { return std::move(problems_); }

  // One error with all that was found, if anything was.
  Status finish(std::string_view context) {
    if (clean()) return {};
    Error error{ErrorCode::InvalidData, std::string(context), "", std::move(problems_)};
    error.message = fmt::format("{} of the model's parameters cannot be used", error.items.size());
    return tl::unexpected(std::move(error));
  }

 private:
  void wrong(std::string_view key, std::string_view expected, const Json& found) {
    problem(fmt::format("{}: expected {}, found {}", key, expected, shown(found)));
  }

  const Json& json_;
  std::vector<std::string> problems_;
};

// Relations between values that are fine one by one.
void check_relations(const Params& params, ParamReader& reader);

}  // namespace diptych::llama
