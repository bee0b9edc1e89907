// SentencePiece models (Llama 2 and its kin), through the library.
#pragma once

#include "text/tokenizer.h"

namespace diptych::text {

// Reads a serialised ModelProto; damaged ones are refused with what is wrong in them.
Result<std::unique_ptr<Tokenizer>> read_sentencepiece(Bytes file);

}  // namespace diptych::text
