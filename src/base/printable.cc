#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "base/utf8.h"

namespace diptych {

namespace {

constexpr std::string_view kCut = " [...] ";

// What a terminal or a reader may take for something other than a letter.
bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x61C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

bool continues(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// The character that `text` starts with; of no bytes where these are no UTF-8.
struct First {
  uint32_t code = 0;
  size_t size = 0;
};
First first_of(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  const size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size > text.size() || !is_valid_utf8(text.substr(0, size))) return {};
  uint32_t code = size == 1 ? lead : lead & (0x7Fu >> size);
  for (size_t i = 1; i < size; ++i) code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  return {code, size};
}

}  // namespace

std::string printable(std::string_view text, LineBreaks breaks) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const First first = first_of(text);
    const bool kept = breaks == LineBreaks::Kept && (text[0] == '\n' || text[0] == '\t');
    if (first.size == 0) {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0]));
    } else if (kept || !is_control(first.code)) {
      out += text.substr(0, first.size);
    } else if (text[0] == '\n' || text[0] == '\r' || text[0] == '\t') {
      out += text[0] == '\n' ? "\\n" : text[0] == '\r' ? "\\r" : "\\t";
    } else {
      out += fmt::format("\\u{:04x}", first.code);
    }
    text.remove_prefix(std::max<size_t>(first.size, 1));
  }
  return out;
}

std::string shortened(std::string_view text, size_t longest) {
  if (text.size() <= longest) return std::string(text);
  const size_t room = longest - std::min(longest, kCut.size());
  size_t head = room * 2 / 3, tail = text.size() - (room - head);
  while (head > 0 && continues(text[head])) --head;
  while (tail < text.size() && continues(text[tail])) ++tail;
  return std::string(text.substr(0, head)).append(kCut).append(text.substr(tail));
}

std::string one_line(std::string_view text, size_t longest) {
  // Cut before as well, so that a text of any length costs little.
  return shortened(printable(shortened(text, longest)), longest);
}

}  // namespace diptych
