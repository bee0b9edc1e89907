// Unicode's normal forms and lower case, by the library utf8proc's tables.
#pragma once

#include <string>
#include <string_view>

namespace diptych::text {

enum class NormalForm : unsigned char { NFC, NFD, NFKC, NFKD };

// `text`, valid UTF-8, in the form. Linear in its length (utf8proc itself takes quadratic time to
// order a long run of combining marks).
std::string normalize(std::string_view text, NormalForm form);

// Every character's lower case, without regard to its neighbours.
std::string lowercase(std::string_view text);

// White_Space of the Unicode standard.
bool is_white_space(char32_t character);

// The character with which a valid UTF-8 text starts.
char32_t first_character(std::string_view text);

void append_utf8(char32_t character, std::string& out);

}  // namespace diptych::text
