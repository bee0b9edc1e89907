// Cuts the text form into tokens, for the parser alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace diptych::mil {

// One token. Its text has no quotes or sigil, and its escapes are resolved.
struct Token {
  enum class Kind : uint8_t {
    Word,      // linear, fp16, true
    Number,    // -1, 1e-05, 0x7e01, -inf: whatever starts with a digit or '-'
    String,    // "…"
    Value,     // %name or %"name"
    Function,  // @name or @"name"
    Symbol,    // one of ( ) [ ] { } , : =
    End,
  };
  Kind kind = Kind::End;
  std::string text;
  int line = 1, column = 1;  // of its first byte, from 1

  bool is_symbol(char c) const { return kind == Kind::Symbol && text[0] == c; }
  bool is_word(std::string_view word) const { return kind == Kind::Word && text == word; }
};

// "line 3, column 7", the context of parse errors.
std::string place(const Token& token);

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // Returns the next token; after the last one, always End.
  Result<Token> next();

 private:
  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  void advance();
  void skip_space_and_comments();
  std::string_view take_name_chars();
  Result<std::string> take_string(const Token& token);
  Result<char> take_escape(const Token& token);

  std::string_view text_;
  size_t position_ = 0;
  int line_ = 1, column_ = 1;
};

}  // namespace diptych::mil
