// Just enough UTF-8: the next character of a byte string that may be damaged.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace diptych::text {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8State : unsigned char {
  Complete,   // the bytes are one character
  Truncated,  // the text ends within a character that is valid so far
  Invalid,    // no character starts with these bytes
};

// The start of a byte string. Damaged bytes form the longest prefix of a valid character, or one
// byte: what the Unicode standard (3.9, "U+FFFD substitution of maximal subparts") replaces by one
// U+FFFD.
struct Utf8Step {
  Utf8State state;
  size_t size;  // 1…4 bytes
};

// `text` is not empty.
Utf8Step next_utf8(std::string_view text);

// The length of the longest prefix of `text` that is valid UTF-8.
size_t valid_utf8_prefix(std::string_view text);

// `text` with damaged bytes replaced by U+FFFD, one for each step that is not Complete.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace diptych::text
