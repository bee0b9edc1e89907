// Text from a hostile file, made fit for a one-line error message.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/printable.h"

namespace diptych {

// In double quotes, control characters escaped, invalid UTF-8 replaced, cut after 100 bytes.
inline std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 100;
  const bool whole = text.size() <= kLongest;
  return printable(dump_json(Json(std::string(text.substr(0, kLongest))))) + (whole ? "" : "...");
}

}  // namespace diptych
