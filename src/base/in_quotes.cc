#include "base/in_quotes.h"

#include "base/json_fwd.h"
#include "base/printable.h"

namespace diptych {

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 100;
  const bool whole = text.size() <= kLongest;
  return printable(json_quoted(text.substr(0, kLongest))) + (whole ? "" : "...");
}

}  // namespace diptych
