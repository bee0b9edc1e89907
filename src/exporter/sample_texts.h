// Texts of the project's own, of many kinds: src/exporter/texts/README.md. They are part of the
// program.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace diptych::exporter {

// What quantisation is calibrated on unless the user has a text, and what is never used for that.
std::string_view calibration_sample();
std::string_view held_out_sample();

// A text as token ids, cut into windows of `window` tokens (the last may be shorter), each with
// what the tokenizer puts before a text. Pieces of the text, parted by lines ===, follow one
// another in a window.
struct TextTokens {
  int64_t window = 512;
  size_t most_tokens = SIZE_MAX;  // what is beyond is left out
  // Null: what is marked as a chat stays as it is.
  const std::string* chat_template = nullptr;
};
Result<std::vector<std::vector<int64_t>>> token_windows(std::string_view text,
                                                        const text::Tokenizer& tokenizer,
                                                        const TextTokens& options);

}  // namespace diptych::exporter
