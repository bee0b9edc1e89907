// The tokens of a template under the parser's cursor.
#pragma once

#include <utility>
#include <vector>

#include "base/in_quotes.h"
#include "jinja/lexer.h"

namespace diptych::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Position at() const { return current().at; }

  // The current token; the one after it becomes current. End stays.
  const Token& take() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }

  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_operator(std::string_view text) const {
    return is_token(current(), text, TokenKind::Operator);
  }
  bool is_name(std::string_view text) const { return is_token(current(), text, TokenKind::Name); }
  bool next_is_operator(std::string_view text) const {
    return is_token(next(), text, TokenKind::Operator);
  }
  bool next_is_name(std::string_view text) const { return is_token(next(), text, TokenKind::Name); }

  bool skip_operator(std::string_view text) {
    const bool found = is_operator(text);
    if (found) take();
    return found;
  }
  bool skip_name(std::string_view text) {
    const bool found = is_name(text);
    if (found) take();
    return found;
  }

  Status expect_operator(std::string_view text) {
    if (skip_operator(text)) return {};
    return unexpected(fmt::format("\"{}\"", text));
  }
  Status expect_name(std::string_view text) {
    if (skip_name(text)) return {};
    return unexpected(fmt::format("\"{}\"", text));
  }
  Result<std::string> expect_any_name() {
    if (!is(TokenKind::Name)) return unexpected("a name");
    return take().text;
  }
  Status expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) return unexpected(what);
    take();
    return {};
  }

  tl::unexpected<Error> unexpected(std::string_view expected) const {
    return invalid_data("{}: expected {}, found {}", to_string(at()), expected,
                        describe(current()));
  }

 private:
  static bool is_token(const Token& token, std::string_view text, TokenKind kind) {
    return token.kind == kind && token.text == text;
  }
  static std::string describe(const Token& token) {
    switch (token.kind) {
      case TokenKind::BlockEnd:
        return "the end of the statement";
      case TokenKind::VariableEnd:
        return "the end of the expression";
      case TokenKind::End:
        return "the end of the template";
      case TokenKind::Text:
      case TokenKind::BlockBegin:
      case TokenKind::VariableBegin:
        return "another tag";
      default:
        return in_quotes(token.text);
    }
  }

  std::vector<Token> tokens_;  // the last is End
  size_t at_ = 0;
};

}  // namespace diptych::jinja
