// Validation of UTF-8 (RFC 3629), for names and texts that files bring.
#pragma once

#include <cstdint>
#include <string_view>

namespace diptych {

// True for well-formed UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF.
constexpr bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i++]);
    if (lead < 0x80) continue;
    const int following = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - i < static_cast<size_t>(following)) {
      return false;
    }
    uint32_t code = lead & (0x3Fu >> following);
    for (int k = 0; k < following; ++k) {
      const auto next = static_cast<uint8_t>(text[i++]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3Fu);
    }
    constexpr uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[following] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      return false;
    }
  }
  return true;
}

}  // namespace diptych
