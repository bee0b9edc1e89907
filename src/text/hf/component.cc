#include "text/hf/component.h"

#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "text/regex_syntax.h"

namespace diptych::text::hf {

tl::unexpected<Error> unknown_component(std::string_view kind, std::string_view name,
                                        std::string_view known) {
  return unsupported("the {} {} is not supported; known are {}", kind, in_quotes(name), known);
}

std::string as_place(std::string_view name) {
  constexpr size_t kLongestWord = 40;
  const bool is_word = name.size() <= kLongestWord &&
                       std::all_of(name.begin(), name.end(),
                                   [](unsigned char c) { return c < 128 && std::isalnum(c) != 0; });
  return is_word ? std::string(name) : in_quotes(name);
}

Result<bool> bool_or(const Json& object, std::string_view key, bool otherwise) {
  const auto found = object.find(std::string(key));
  if (found == object.end() || found->is_null()) return otherwise;
  return json_bool(object, key);
}

Result<Pattern> read_pattern(const Json& component) {
  const Json* pattern = TRY(json_member(component, "pattern"));
  if (pattern->is_object() && pattern->contains("String")) {
    return Pattern::literal(TRY(json_string(*pattern, "String")));
  }
  const std::string regex = TRY(json_string(*pattern, "Regex"));
  const std::string translated = TRY(pcre2_from_oniguruma(regex));
  return Pattern::regex(TRY(Regex::compile(translated)));
}

}  // namespace diptych::text::hf
