// The name of the JSON value, for headers that only pass it on and sources that only write a text;
// base/json.h has the rest, which takes a second and more to compile.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diptych {

using Json = nlohmann::ordered_json;

// The text of a value, invalid UTF-8 replaced; indent < 0 gives one line.
std::string dump_json(const Json& value, int indent = -1);

// A text as a JSON string with its quotes, invalid UTF-8 replaced; as ASCII alone, as Python's
// json.dumps() writes it, where `ascii` says so.
std::string json_quoted(std::string_view text, bool ascii = false);

// Parses as parse_json() does; a null pointer for JSON's null.
Result<std::shared_ptr<const Json>> parse_shared_json(std::string_view text);

}  // namespace diptych
