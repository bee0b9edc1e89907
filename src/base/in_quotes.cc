#include "base/in_quotes.h"

#include "base/json.h"
#include "base/printable.h"

namespace diptych {

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 100;
  const bool whole = text.size() <= kLongest;
  return printable(dump_json(Json(std::string(text.substr(0, kLongest))))) + (whole ? "" : "...");
}

}  // namespace diptych
