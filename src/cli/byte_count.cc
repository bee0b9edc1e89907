#include "cli/byte_count.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace diptych::cli {

Result<uint64_t> bytes_from(const std::string& text, uint64_t least) {
  constexpr std::string_view kSuffixes = "KMG";
  double factor = 1;
  std::string_view digits = text;
  if (const size_t at = digits.empty() ? kSuffixes.npos : kSuffixes.find(digits.back());
      at != kSuffixes.npos) {
    factor = std::pow(1000.0, static_cast<double>(at + 1));
    digits.remove_suffix(1);
  }
  double number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  constexpr double kMost = 1e15;
  if (error != std::errc() || end != digits.data() + digits.size() ||
      !(number * factor >= static_cast<double>(least)) || number * factor > kMost) {
    return invalid_argument("expected bytes such as 90M or 1.5G, found \"{}\"", text);
  }
  return static_cast<uint64_t>(number * factor);
}

}  // namespace diptych::cli
