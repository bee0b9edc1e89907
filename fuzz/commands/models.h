// Small valid models, made once by diptych itself, in memory.
#pragma once

#include <map>
#include <string>

namespace diptych::fuzz {

// Files of a directory by relative path.
using Files = std::map<std::string, std::string>;

struct Models {
  Files hugging_face;         // config.json, model.safetensors
  Files sharded;              // config.json, two shards and their index
  Files qwen3;                // the same form with q/k norms
  Files meta;                 // model.pth, params.json
  std::string gguf;           // without a vocabulary
  std::string single, multi;  // .pte files with a tokenizer, a template and sampling defaults
  // Tokenizers whose ids fit all of these models.
  std::string byte_level, byte_fallback;  // tokenizer.json
  std::string sentencepiece;              // tokenizer.model
  std::string ranks;                      // of the tiktoken kind
};

// Runs `diptych` in `directory`; what goes wrong ends the process.
Models make_models(const std::string& diptych, const std::string& directory);

// The file's bytes; false when there is none.
bool read_file(const std::string& path, std::string* bytes);
void write_file(const std::string& path, const std::string& bytes);

}  // namespace diptych::fuzz
