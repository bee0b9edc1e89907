// Regular expressions over UTF-8, as the library PCRE2 runs them, with limits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/work.h"

namespace diptych::text {

// White space as Unicode defines it, as the inside of a character class: PCRE2's own \s also counts
// U+180E, which the engines that tokenizers are written for do not.
#define DIPTYCH_REGEX_SPACE \
  R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"

struct Match {
  size_t begin, end;  // byte offsets
};

// Immutable; safe to use from several threads. Letters and digits are those of the Unicode version
// that PCRE2 knows.
class Regex {
 public:
  // `pattern` in PCRE2's syntax; "^" and "$" match at every line.
  static Result<Regex> compile(std::string_view pattern);

  // The first match in text[from …), or none; `text` is valid UTF-8 and `from` starts a character.
  // A step of `work` is a part of the expression that is tried, and a byte that one goes over.
  Result<std::optional<Match>> find(std::string_view text, size_t from, Work& work) const;

  // The end of the match that starts at `from`, or none.
  Result<std::optional<size_t>> match_at(std::string_view text, size_t from, Work& work) const;

 private:
  struct Compiled;
  explicit Regex(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  Result<std::optional<Match>> run(std::string_view text, size_t from, uint32_t options,
                                   Work& work) const;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace diptych::text
