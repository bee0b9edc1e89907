// Cuts a template into text and the tokens of its tags, white-space control applied.
//
// The settings are those that chat templates are written for: trim_blocks and lstrip_blocks on,
// one newline at the end of the template dropped. Source: jinja.palletsprojects.com, "Template
// Designer Documentation", and the behaviour of Jinja 3.1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diptych::jinja {

// A place in the template; both count from 1, columns in characters.
struct Position {
  uint32_t line = 0, column = 0;
};

std::string to_string(const Position& at);  // "line 3, column 7"

enum class TokenKind : uint8_t {
  Text,           // outside of tags
  BlockBegin,     // {%
  BlockEnd,       // %}
  VariableBegin,  // {{
  VariableEnd,    // }}
  Name,
  String,  // its value, escapes resolved
  Integer,
  Float,
  Operator,
  End,
};

struct Token {
  TokenKind kind = TokenKind::End;
  Position at;
  std::string text;
  int64_t integer = 0;
  double number = 0;
};

// `source` is valid UTF-8. The last token is End.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace diptych::jinja
