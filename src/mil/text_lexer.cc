#include "mil/text_lexer.h"

#include <charconv>

#include "mil/text_literal.h"

namespace diptych::mil {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A sign continues a number only after the exponent's e: 1e-05.
bool continues_number(std::string_view number, char c) {
  const bool exponent = number.size() > 1 && number.back() == 'e' && is_digit(number.end()[-2]);
  return is_name_char(c) || (exponent && (c == '-' || c == '+'));
}

tl::unexpected<Error> fail_at(const Token& token, std::string_view message) {
  return tl::unexpected(Error{ErrorCode::InvalidData, place(token), std::string(message), {}});
}

}  // namespace

std::string place(const Token& token) {
  return fmt::format("line {}, column {}", token.line, token.column);
}

void Lexer::advance() {
  if (text_[position_++] == '\n') {
    ++line_;
    column_ = 1;
  } else {
    ++column_;
  }
}

void Lexer::skip_space_and_comments() {
  while (position_ < text_.size()) {
    const char c = peek();
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      advance();
    } else if (text_.substr(position_, 2) == "//") {
      while (position_ < text_.size() && peek() != '\n') advance();
    } else {
      return;
    }
  }
}

std::string_view Lexer::take_name_chars() {
  const size_t start = position_;
  while (is_name_char(peek())) advance();
  return text_.substr(start, position_ - start);
}

Result<char> Lexer::take_escape(const Token& token) {
  const char c = peek();
  if (c == '"' || c == '\\') {
    advance();
    return c;
  }
  unsigned char byte = 0;
  const std::string_view digits = text_.substr(position_).substr(0, 3);
  if (digits.size() == 3 && c == 'x') {
    const auto parsed = std::from_chars(digits.data() + 1, digits.data() + 3, byte, 16);
    if (parsed.ec == std::errc{} && parsed.ptr == digits.data() + 3) {
      for (int i = 0; i < 3; ++i) advance();
      return static_cast<char>(byte);
    }
  }
  return fail_at(token, R"(expected \", \\ or \xHH after a backslash in this string)");
}

Result<std::string> Lexer::take_string(const Token& token) {
  std::string content;
  advance();
  while (position_ < text_.size() && peek() != '"' && peek() != '\n') {
    const char c = peek();
    advance();
    content += c == '\\' ? TRY(take_escape(token)) : c;
  }
  if (peek() != '"') return fail_at(token, "this string has no end on its line");
  advance();
  return content;
}

Result<Token> Lexer::next() {
  skip_space_and_comments();
  Token token;
  token.line = line_;
  token.column = column_;
  if (position_ == text_.size()) return token;

  const char c = peek();
  if (c == '"') {
    token.kind = Token::Kind::String;
    token.text = TRY(take_string(token));
  } else if (c == '%' || c == '@') {
    token.kind = c == '%' ? Token::Kind::Value : Token::Kind::Function;
    advance();
    token.text = peek() == '"' ? TRY(take_string(token)) : std::string(take_name_chars());
    if (token.text.empty()) return fail_at(token, "expected a name");
  } else if (c == '-' || is_digit(c)) {
    token.kind = Token::Kind::Number;
    do {
      token.text += peek();
      advance();
    } while (continues_number(token.text, peek()));
  } else if (is_name_char(c)) {
    token.kind = Token::Kind::Word;
    token.text = take_name_chars();
  } else if (std::string_view("()[]{},:=").find(c) != std::string_view::npos) {
    token.kind = Token::Kind::Symbol;
    token.text = c;
    advance();
  } else {
    return fail_at(token, fmt::format("unexpected character {}", quote({&c, 1})));
  }
  return token;
}

}  // namespace diptych::mil
