#include "text/byte_level.h"

#include <array>
#include <cstdint>

#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace diptych::text {

namespace {

constexpr char32_t kFirstStandIn = 0x100;

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> character;  // by byte
  std::array<int, 0x144> byte;          // by character; -1: not of the alphabet

  constexpr Alphabet() : character(), byte() {
    byte.fill(-1);
    char32_t next = kFirstStandIn;
    for (int i = 0; i < 256; ++i) {
      const char32_t c = stands_for_itself(i) ? static_cast<char32_t>(i) : next++;
      character[static_cast<size_t>(i)] = c;
      byte[c] = i;
    }
  }
};
constexpr Alphabet kAlphabet;

}  // namespace

void append_byte_level(std::string_view bytes, std::string& out) {
  for (const char byte : bytes) append_utf8(kAlphabet.character[static_cast<uint8_t>(byte)], out);
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const char32_t character = first_character(text);
    if (character >= kAlphabet.byte.size() || kAlphabet.byte[character] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[character]);
    text.remove_prefix(next_utf8(text).size);
  }
  return bytes;
}

}  // namespace diptych::text
