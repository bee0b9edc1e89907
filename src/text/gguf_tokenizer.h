// A GGUF's tokenizer metadata as a tokenizer file of one of the kinds we read: a SentencePiece
// model or a tokenizer.json. The same bytes can be kept beside a model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace diptych::text {

// The keys "tokenizer.ggml.*" of a GGUF, unchecked. Source: its page on GGUF of
// github.com/ggml-org/ggml and src/llama-vocab.cpp of github.com/ggml-org/llama.cpp.
struct GgufTokenizer {
  std::string model;                // "llama" (SentencePiece BPE) or "gpt2" (byte-level BPE)
  std::string pre;                  // for "gpt2": whose words; "" as "default"
  std::vector<std::string> tokens;  // by id; empty ones are never used
  std::vector<float> scores;        // for "llama", by id
  // By id; empty: all normal. 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
  std::vector<int32_t> token_types;
  std::vector<std::string> merges;  // for "gpt2": "left right"; at least one
  std::optional<int64_t> bos, eos, unknown;
  std::optional<bool> add_bos;           // missing: true for "llama" and Llama 3's words
  std::optional<bool> add_space_prefix;  // for "llama"; missing: true
};

// Fails when the lists are at odds, and on models and words that are not known, by name with the
// list of those that are.
Result<TokenizerFile> tokenizer_file_from_gguf(const GgufTokenizer& gguf);

// The tokenizer itself.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const GgufTokenizer& gguf);

}  // namespace diptych::text
