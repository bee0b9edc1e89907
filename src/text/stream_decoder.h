// Turns token ids, one after another, into text that can be shown at once.
#pragma once

#include <span>
#include <string>

#include "text/tokenizer.h"

namespace diptych::text {

// Holds back the bytes of an incomplete character until the ids that complete it arrive, so that
// what it gives out is always valid UTF-8. Bytes that can no longer become a character come out as
// U+FFFD. Special tokens and ids outside the vocabulary have no text.
//
// To continue a prompt, feed its ids first and ignore what comes out: the decoder then knows that
// the text has begun.
class StreamDecoder {
 public:
  // `tokenizer` must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // The text that is complete now that `id` has come; may be empty.
  std::string add(TokenId id);

  // What is held back, as U+FFFD; the decoder is then as new.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;  // the beginning of a character, at most 3 bytes
  bool at_start_ = true;
};

// The whole text of `ids`.
std::string decode(const Tokenizer& tokenizer, std::span<const TokenId> ids);

}  // namespace diptych::text
