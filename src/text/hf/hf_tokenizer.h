// Hugging Face's tokenizer.json: docs/formats/tokenizers.md describes the file.
#pragma once

#include "text/tokenizer.h"

namespace diptych::text::hf {

// Reads the text of a tokenizer.json whose model is BPE. Ids equal those of the `tokenizers`
// package. Components that are not supported are refused by name; merges and tokens that are
// missing or occur twice are errors.
Result<std::unique_ptr<Tokenizer>> read_tokenizer_json(std::string_view file);

}  // namespace diptych::text::hf
