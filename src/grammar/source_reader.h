// The place in a text that a parser of grammars or patterns has come to.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/utf8.h"

namespace diptych::grammar {

class SourceReader {
 public:
  explicit SourceReader(std::string_view source) : source_(source) {}

  size_t at() const { return at_; }
  bool ended() const { return at_ >= source_.size(); }
  std::string_view source() const { return source_; }
  std::string_view rest() const { return source_.substr(at_); }
  char peek() const { return ended() ? '\0' : source_[at_]; }

  // To a place within the source, or its end.
  void go_to(size_t at) { at_ = at; }
  void skip(size_t bytes = 1) { at_ += std::min(bytes, source_.size() - at_); }
  bool take(std::string_view text) {
    if (!rest().starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  // A number in digits; where there is none, or one of more than `most`, the place stays.
  std::optional<size_t> take_number(size_t most) {
    size_t number = 0;
    const std::string_view text = rest();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number > most) return std::nullopt;
    at_ += static_cast<size_t>(end - text.data());
    return number;
  }
  // A character; nothing at the end, or where the source is not UTF-8.
  std::optional<uint32_t> take_char() {
    const Utf8Char next = first_utf8(rest());
    if (next.bytes == 0) return std::nullopt;
    at_ += next.bytes;
    return next.code;
  }

 private:
  std::string_view source_;
  size_t at_ = 0;
};

}  // namespace diptych::grammar
