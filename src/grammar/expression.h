// Grammars as they are written: rules of expressions, from which compile() makes an automaton.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace diptych::grammar {

// Characters by code point, both ends included.
struct CharRange {
  uint32_t first = 0, last = 0;
};
inline constexpr uint32_t kLastChar = 0x10FFFF;

struct Node;
using Expression = std::shared_ptr<const Node>;

// One of these; which, says `kind`.
struct Node {
  enum class Kind : uint8_t { Text, Chars, Sequence, Any, Repeat, Rule };
  Kind kind = Kind::Text;
  std::string text;               // Text: bytes
  std::vector<CharRange> ranges;  // Chars: one character of these, which may overlap
  std::vector<Expression> parts;  // Sequence: all in order; Any: one; Repeat: the first, repeated
  size_t least = 0, most = 0;     // Repeat: so often
  size_t rule = 0;                // Rule: the index of one
};
inline constexpr size_t kUnlimited = SIZE_MAX;

Expression text(std::string_view bytes);
Expression chars(std::vector<CharRange> ranges);
Expression chars_except(std::vector<CharRange> ranges);
Expression sequence(std::vector<Expression> parts);
Expression any(std::vector<Expression> parts);  // of none: what nothing matches
Expression repeat(Expression part, size_t least, size_t most);
Expression optional(Expression part);
Expression rule(size_t index);

struct Rule {
  std::string name;  // for errors
  Expression body;
};

}  // namespace diptych::grammar
