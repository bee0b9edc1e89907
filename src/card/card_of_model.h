// The card of a model before its export, from the files that lie with its checkpoint; and the one
// way from a path to a tokenizer.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "card/model_card.h"
#include "checkpoint/checkpoint.h"

namespace diptych::card {

struct CardOptions {
  std::string tokenizer;      // a path for load_tokenizer(); empty: the model's own
  bool no_tokenizer = false;  // leaves the tokenizer's file out
  std::string name;           // empty: as the model says
};

// What belongs to the checkpoint that was opened from `path`:
//   tokenizer   a GGUF's own; else tokenizer.json or tokenizer.model in the directory, with the
//               rules of tokenizer_config.json, special_tokens_map.json and added_tokens.json
//   template    a GGUF's own; else as card/chat_template_beside.h says
//   sampling    generation_config.json
//   ids         BOS: the tokenizer's; EOS: those of generation_config.json, else of config.json,
//               and the tokenizer's stop ids; ascending
//   name        general.name of a GGUF, _name_or_path of a config.json
// Each may be missing; a template or sampling defaults that cannot be used are left out with a
// note, and a note says when the tokenizer, which is opened, has more tokens than a vocabulary of
// `vocab_size`. Nothing of the card depends on where the files lie.
Result<ModelCard> card_of_model(const std::string& path, const checkpoint::Checkpoint& checkpoint,
                                int64_t vocab_size, const CardOptions& options);

// The tokenizer that a path names: a tokenizer's file, a model's directory, a .pth or .safetensors
// in one, a GGUF file, or a .pte that carries one. NotFound when there is none in it.
Result<text::TokenizerFile> load_tokenizer(const std::string& path);

// The same, opened.
Result<std::unique_ptr<text::Tokenizer>> open_tokenizer(const std::string& path);

// What to say of a tokenizer with more tokens than the model knows; empty of others.
std::string surplus_of(const text::Tokenizer& tokenizer, int64_t vocab_size);

}  // namespace diptych::card
