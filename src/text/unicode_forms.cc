#include "text/unicode_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "text/utf8.h"

namespace diptych::text {

namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 128; });
}

int combining_class(utf8proc_int32_t character) {
  return utf8proc_get_property(character)->combining_class;
}

// The canonical order: within a run of marks, by class, else as they were.
void order_marks(std::vector<utf8proc_int32_t>& characters) {
  const auto is_mark = [](utf8proc_int32_t c) { return combining_class(c) != 0; };
  for (auto at = characters.begin(); at != characters.end();) {
    at = std::find_if(at, characters.end(), is_mark);
    const auto end = std::find_if_not(at, characters.end(), is_mark);
    std::stable_sort(at, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return combining_class(a) < combining_class(b);
    });
    at = end;
  }
}

}  // namespace

char32_t first_character(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  const size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t character = size == 1 ? lead : lead & (0x7Fu >> size);
  for (size_t i = 1; i < size; ++i) {
    character = character << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  }
  return character;
}

void append_utf8(char32_t character, std::string& out) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(character), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

bool is_white_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::string normalize(std::string_view text, NormalForm form) {
  if (is_ascii(text)) return std::string(text);
  const bool compatible = form == NormalForm::NFKC || form == NormalForm::NFKD;
  const int options = UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | (compatible ? UTF8PROC_COMPAT : 0);
  std::vector<utf8proc_int32_t> characters;
  characters.reserve(text.size());
  while (!text.empty()) {
    const auto character = static_cast<utf8proc_int32_t>(first_character(text));
    text.remove_prefix(next_utf8(text).size);
    utf8proc_int32_t parts[32];  // the longest decomposition has 18
    int last_boundclass = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(character, parts, std::size(parts),
                                static_cast<utf8proc_option_t>(options), &last_boundclass);
    if (count < 0 || static_cast<size_t>(count) > std::size(parts)) {
      characters.push_back(character);
    } else {
      characters.insert(characters.end(), parts, parts + count);
    }
  }
  order_marks(characters);
  if (form == NormalForm::NFC || form == NormalForm::NFKC) {
    const utf8proc_ssize_t count = utf8proc_normalize_utf32(
        characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    characters.resize(static_cast<size_t>(count));  // in place: never more than before
  }
  std::string out;
  for (const utf8proc_int32_t character : characters) {
    append_utf8(static_cast<char32_t>(character), out);
  }
  return out;
}

std::string lowercase(std::string_view text) {
  constexpr char32_t kCapitalIWithDot = 0x130;  // the only one whose lower case is two characters
  std::string out;
  while (!text.empty()) {
    const char32_t character = first_character(text);
    text.remove_prefix(next_utf8(text).size);
    if (character == kCapitalIWithDot) {
      out += "i\xCC\x87";
    } else {
      append_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character))),
                  out);
    }
  }
  return out;
}

}  // namespace diptych::text
