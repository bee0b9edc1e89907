// Cuts a text into the words that byte-pair encoding works on, with Llama 3's regular expression.
#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/regex.h"

namespace diptych::text {

// Immutable; safe to use from several threads. Letters and digits are those of the Unicode version
// that PCRE2 knows.
class PreTokenizer {
 public:
  static Result<PreTokenizer> create();

  // Appends the words of `text`, which must be valid UTF-8; together they are the text.
  Status split(std::string_view text, Work& work, std::vector<std::string_view>& words) const;

 private:
  explicit PreTokenizer(Regex words) : words_(std::move(words)) {}
  Regex words_;
};

}  // namespace diptych::text
