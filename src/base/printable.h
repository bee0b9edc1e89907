// Text from outside, made fit for a terminal: what would move the cursor, change colours, reverse
// the order of letters or begin a line of its own is written as an escape.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace diptych {

enum class LineBreaks : unsigned char {
  Escaped,
  Kept,  // and tabs
};

// Control characters (C0, DEL, C1) and Unicode's line separators and marks of direction become
// \n, \t, \u001b …, as JSON writes them, and bytes that are no UTF-8 \xff. Applied twice it changes
// nothing more.
std::string printable(std::string_view text, LineBreaks breaks = LineBreaks::Escaped);

// A text for people, cut in its middle where it is longer than `longest` bytes: a place is named at
// the beginning, a reason or a remedy at the end.
std::string shortened(std::string_view text, size_t longest);

// Both: one line of a message, of at most `longest` bytes.
inline constexpr size_t kLongestLine = 1000;
std::string one_line(std::string_view text, size_t longest = kLongestLine);

}  // namespace diptych
