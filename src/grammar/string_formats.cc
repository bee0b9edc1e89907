#include "grammar/string_formats.h"

#include <fmt/format.h>

namespace diptych::grammar {
namespace {

constexpr std::string_view kTime =
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):"
    "[0-5][0-9])";
constexpr std::string_view kUuid =
    "[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
constexpr std::string_view kByte = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

std::string date() {
  constexpr std::string_view kOf31 = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])";
  constexpr std::string_view kOf30 = "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)";
  constexpr std::string_view kFebruary = "02-(?:0[1-9]|1[0-9]|2[0-8])";
  // 29 February: years 04 to 96 of any century, and the first years of every fourth one.
  constexpr std::string_view kFourths = "(?:0[48]|[2468][048]|[13579][26])";
  constexpr std::string_view kCenturies = "(?:[02468][048]|[13579][26])";
  return fmt::format("(?:[0-9]{{4}}-(?:{}|{}|{})|(?:[0-9]{{2}}{}|{}00)-02-29)", kOf31, kOf30,
                     kFebruary, kFourths, kCenturies);
}

std::string unanchored(std::string_view format) {
  if (format == "date") return date();
  if (format == "time") return std::string(kTime);
  if (format == "date-time") return fmt::format("{}T{}", date(), kTime);
  if (format == "uuid") return std::string(kUuid);
  if (format == "ipv4") return fmt::format("(?:{0}\\.){{3}}{0}", kByte);
  return {};
}

}  // namespace

std::string pattern_of_format(std::string_view format) {
  const std::string pattern = unanchored(format);
  return pattern.empty() ? pattern : fmt::format("^{}$", pattern);
}

}  // namespace diptych::grammar
