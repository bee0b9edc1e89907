#include "openai/parameters.h"

#include <fmt/format.h>

#include "base/in_quotes.h"
#include "base/json.h"
#include "base/printable.h"
#include "openai/error.h"

namespace diptych::openai {

tl::unexpected<Error> unexpected_value(std::string param, std::string_view expected,
                                       const Json& found) {
  const std::string text = found.is_structured()
                               ? std::string(found.is_array() ? "a list" : "an object")
                               : one_line(dump_json(found), 60);
  return wrong_parameter(std::move(param), "expected {}, found {}", expected, text);
}

std::string element_name(std::string_view list, size_t index) {
  return fmt::format("{}[{}]", list, index);
}

Result<Parameters> Parameters::of(const Json& object, std::string path) {
  if (!object.is_object()) {
    std::string name = path;
    if (!name.empty()) name.pop_back();  // the dot
    return unexpected_value(std::move(name), "an object", object);
  }
  return Parameters(object, std::move(path));
}

std::string Parameters::name(std::string_view key) const { return path_ + std::string(key); }

const Json* Parameters::find(std::string_view key) {
  known_.emplace(key);
  const auto found = object_->find(std::string(key));
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

Result<const Json*> Parameters::need(std::string_view key) {
  const Json* found = find(key);
  if (found == nullptr) return wrong_parameter(name(key), "this parameter is needed");
  return found;
}

Result<std::optional<double>> Parameters::number(std::string_view key, double low, double high) {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  const double value = found->is_number() ? found->get<double>() : 0;
  if (!found->is_number() || !(value >= low && value <= high)) {
    return unexpected_value(name(key), fmt::format("a number from {} to {}", low, high), *found);
  }
  return value;
}

Result<std::optional<int64_t>> Parameters::integer(std::string_view key, int64_t low,
                                                   int64_t high) {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  const Result<int64_t> value = json_int(*object_, key);
  if (!value || *value < low || *value > high) {
    const std::string expected =
        low == INT64_MIN ? "an integer" : fmt::format("an integer from {} to {}", low, high);
    return unexpected_value(name(key), expected, *found);
  }
  return *value;
}

Result<std::optional<bool>> Parameters::boolean(std::string_view key) {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_boolean()) return unexpected_value(name(key), "true or false", *found);
  return found->get<bool>();
}

Result<std::optional<std::string>> Parameters::string(std::string_view key) {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_string()) return unexpected_value(name(key), "a string", *found);
  return found->get<std::string>();
}

void Parameters::ignore(std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) known_.emplace(key);
}

Status Parameters::finish() const {
  for (const auto& [key, value] : object_->items()) {
    if (known_.contains(key) || value.is_null()) continue;  // null is as if it were not there
    auto error = unsupported("this parameter is not supported");
    error.value().context = path_ + one_line(key, 60);
    return error;
  }
  return {};
}

}  // namespace diptych::openai
