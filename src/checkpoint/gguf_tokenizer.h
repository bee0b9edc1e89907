// The tokenizer inside a GGUF file, as its metadata has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace diptych::checkpoint {

// Plain data under the keys tokenizer.*; nothing is checked beyond its types, and that scores and
// types are absent or as many as the tokens. Texts are bytes, not always UTF-8.
struct GgufTokenizer {
  std::string model;  // tokenizer.ggml.model: "llama" (SentencePiece), "gpt2" (BPE), …
  std::string pre;    // tokenizer.ggml.pre: the pre-tokeniser of a BPE, "llama-bpe"
  std::vector<std::string> tokens;  // by id
  std::vector<float> scores;        // by id, or empty
  std::vector<int32_t> types;       // by id, or empty: 1 normal, 2 unknown, 3 control, 4 user
                                    // defined, 5 unused, 6 byte
  std::vector<std::string> merges;  // "left right", best first (BPE)
  std::optional<int64_t> bos_id, eos_id, eot_id, unknown_id, padding_id;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  std::string chat_template;  // Jinja, or empty
};

}  // namespace diptych::checkpoint
