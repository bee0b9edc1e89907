// Looks through a SentencePiece model before the library gets it.
//
// libsentencepiece trusts its models: a damaged normaliser table makes it read outside its buffer,
// a very long or empty piece overflows its stack or throws. What it relies on is checked here.
// Layout: sentencepiece_model.proto of github.com/google/sentencepiece.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace diptych::text {

// What we need of a model and the library's interface does not tell.
struct SentencePieceTraits {
  bool add_dummy_prefix = true;          // a space is put before every text
  bool remove_extra_whitespaces = true;  // runs of spaces count as one
  bool is_bpe = false;                   // else unigram
  std::vector<int32_t> user_defined;     // pieces, by id
  size_t longest_piece = 0;              // in bytes
};

// Succeeds when the library can load and use the model safely. Errors name the piece or field.
Result<SentencePieceTraits> check_sentencepiece(Bytes model);

}  // namespace diptych::text
