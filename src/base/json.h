// The one JSON idiom: nlohmann's ordered value, parsed without exceptions and with a depth limit.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych {

// Parses a whole JSON text. Errors name the byte offset. Nesting deeper than 64 is refused, so that
// recursive walks over the result are safe; a key that occurs twice in one object is refused too.
Result<Json> parse_json(std::string_view text);

// Members of an object, with errors that name the key, the expected kind and what was found.
Result<const Json*> json_member(const Json& object, std::string_view key);
Result<std::string> json_string(const Json& object, std::string_view key);
Result<int64_t> json_int(const Json& object, std::string_view key);  // a number without fraction
Result<double> json_number(const Json& object, std::string_view key);
Result<bool> json_bool(const Json& object, std::string_view key);

// The value, shared by who holds it; a null pointer for JSON's null.
std::shared_ptr<const Json> shared_json(Json value);

}  // namespace diptych
