// Validation of UTF-8 (RFC 3629), for names and texts that files bring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace diptych {

struct Utf8Char {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: no well-formed character
};

// The first character of a text: shortest forms only, no surrogates, nothing above U+10FFFF.
constexpr Utf8Char first_utf8(std::string_view text) {
  if (text.empty()) return {};
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t code = lead & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3Fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[bytes] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {code, bytes};
}

// True when the whole text is such characters.
constexpr bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char next = first_utf8(text);
    if (next.bytes == 0) return false;
    text.remove_prefix(next.bytes);
  }
  return true;
}

}  // namespace diptych
