// Tiktoken-style rank files with Llama 3's words and special tokens.
#pragma once

#include "text/tokenizer.h"

namespace diptych::text {

// Reads lines of "base64-of-token rank"; ranks are 0 … n-1, each once. Llama 3's 256 special tokens
// follow as ids n … n+255, numbered as upstream's pytorch_tokenizers numbers them.
//
// Differs from upstream on texts of more than 400,000 characters and on runs of more than 25,000
// characters without a space: upstream cuts there for the sake of its library, we do not.
Result<std::unique_ptr<Tokenizer>> read_tiktoken(std::string_view file);

}  // namespace diptych::text
