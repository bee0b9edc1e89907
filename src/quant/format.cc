#include "quant/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace diptych::quant {

namespace {

constexpr NamedFormat kFormats[] = {
    {"c4w", kC4w},
    {"c8w", kC8w},
    {"b4w", kB4w},
    {"b4w:64", {4, 64}},
    {"b4w:128", {4, 128}},
    {"p4", {4, 0, Kind::Palette}},
    {"p4:32", {4, 32, Kind::Palette}},
    {"p4:16", {4, 16, Kind::Palette}},
    {"p4:8", {4, 8, Kind::Palette}},
    {"p6", {6, 0, Kind::Palette}},
    {"p6:32", {6, 32, Kind::Palette}},
    {"p6:16", {6, 16, Kind::Palette}},
    {"p6:8", {6, 8, Kind::Palette}},
    {"p8", {8, 0, Kind::Palette}},
    {"p8:32", {8, 32, Kind::Palette}},
    {"p8:16", {8, 16, Kind::Palette}},
    {"p8:8", {8, 8, Kind::Palette}},
    {"keep", kKeep},
};

constexpr int64_t kScaleGroups[] = {32, 64, 128};
constexpr int64_t kTableGroups[] = {8, 16, 32};

std::span<const int64_t> groups_of(Kind kind) {
  if (kind == Kind::Palette) return kTableGroups;
  return kScaleGroups;
}

}  // namespace

std::span<const NamedFormat> named_formats() { return kFormats; }

std::string to_string(const Format& format) {
  if (format.kind == Kind::Palette) {
    return format.group == 0 ? fmt::format("{}-bit palette", format.bits)
                             : fmt::format("{}-bit palette of {} rows", format.bits, format.group);
  }
  if (format == kKeep) return "as the source is";
  const std::string text = format.group == 0
                               ? fmt::format("{}-bit per row", format.bits)
                               : fmt::format("{}-bit in groups of {}", format.bits, format.group);
  return format.kind == Kind::Kept ? text + ", kept" : text;
}

Grouped grouped(const Format& format) {
  if (format.kind == Kind::Palette) return {0, "number of rows", "one table"};
  return {1, "width", "a whole row"};
}

Status check(const Format& format) {
  if (format.kind == Kind::Kept) return {};
  const bool palette = format.kind == Kind::Palette;
  if (format.bits != 4 && format.bits != 8 && !(palette && format.bits == 6)) {
    return invalid_argument("quantisation to {} bits: expected {}", format.bits,
                            palette ? "4, 6 or 8" : "4 or 8");
  }
  const std::span<const int64_t> groups = groups_of(format.kind);
  if (format.group != 0 && std::find(groups.begin(), groups.end(), format.group) == groups.end()) {
    return invalid_argument("quantisation in groups of {}: expected {} or 0 ({})", format.group,
                            fmt::join(groups, ", "), grouped(format).all);
  }
  return {};
}

int64_t nearest_group(const Format& format, int64_t size) {
  int64_t nearest = 0;
  for (const int64_t candidate : groups_of(format.kind)) {
    if (size % candidate != 0) continue;
    if (nearest == 0 || std::abs(candidate - format.group) < std::abs(nearest - format.group)) {
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace diptych::quant
