#include "quant/format.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace diptych::quant {

namespace {

constexpr NamedFormat kFormats[] = {
    {"c4w", kC4w},       {"c8w", kC8w},         {"b4w", kB4w},
    {"b4w:64", {4, 64}}, {"b4w:128", {4, 128}}, {"keep", kKeep},
};

constexpr int64_t kGroups[] = {32, 64, 128};

}  // namespace

std::span<const NamedFormat> named_formats() { return kFormats; }

std::string to_string(const Format& format) {
  if (format == kKeep) return "as the source is";
  const std::string text = format.group == 0
                               ? fmt::format("{}-bit per row", format.bits)
                               : fmt::format("{}-bit in groups of {}", format.bits, format.group);
  return format.kept ? text + ", kept" : text;
}

Status check(const Format& format) {
  if (format.kept) return {};
  if (format.bits != 4 && format.bits != 8) {
    return invalid_argument("quantisation to {} bits: expected 4 or 8", format.bits);
  }
  const bool known =
      std::find(std::begin(kGroups), std::end(kGroups), format.group) != std::end(kGroups);
  if (format.group != 0 && !known) {
    return invalid_argument("quantisation in groups of {}: expected 32, 64, 128 or 0 (a whole row)",
                            format.group);
  }
  return {};
}

int64_t nearest_group(int64_t group, int64_t width) {
  int64_t nearest = 0;
  for (const int64_t candidate : kGroups) {
    if (width % candidate != 0) continue;
    if (nearest == 0 || std::abs(candidate - group) < std::abs(nearest - group)) {
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace diptych::quant
