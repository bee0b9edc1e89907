// What the parts of a tokenizer.json have in common: objects that name their "type".
#pragma once

#include <string>
#include <string_view>

#include "base/in_quotes.h"
#include "base/json.h"
#include "text/pieces.h"

namespace diptych::text::hf {

// Refuses a component by its name; `known` lists those of its kind that can be used.
tl::unexpected<Error> unknown_component(std::string_view kind, std::string_view name,
                                        std::string_view known);

// A component's name as the place of an error: in quotes unless it is a word.
std::string as_place(std::string_view name);

// A member that may be missing or null.
Result<bool> bool_or(const Json& object, std::string_view key, bool otherwise);

// The value of "pattern": {"String": "…"} or {"Regex": "…"}.
Result<Pattern> read_pattern(const Json& component);

// Calls `add(component)` for `component`, or for every member of it when it is a Sequence, whose
// array is under `key`.
template <class Add>
Status for_each_component(const Json& component, std::string_view key, Add add) {
  const std::string type = TRY(json_string(component, "type"));
  if (type != "Sequence") return within(as_place(type), add(component, type));
  const Json* members = TRY(json_member(component, key));
  if (!members->is_array()) return invalid_data("\"{}\": expected an array", key);
  for (const Json& member : *members) TRY(for_each_component(member, key, add));
  return {};
}

}  // namespace diptych::text::hf
