// What a .pte says of its model beyond what it computes: name, BOS and EOS ids, tokenizer, chat
// template, sampling defaults. Whoever runs the file needs no other. Layout, names and keys:
// docs/formats/self_description.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "card/generation_defaults.h"
#include "pte/program.h"
#include "text/tokenizer.h"

namespace diptych::card {

// Constant methods, named in the manner of ExecuTorch's LLM runner (extension/llm/runner).
inline constexpr std::string_view kBosId = "get_bos_id";          // an integer
inline constexpr std::string_view kEosIds = "get_eos_ids";        // int64[n]
inline constexpr std::string_view kModelName = "get_model_name";  // a string
inline constexpr std::string_view kRecipe = "get_recipe";         // a string
inline constexpr std::string_view kRotation = "get_rotation";     // a string

// Keys of named data.
inline constexpr std::string_view kTokenizer = "diptych.tokenizer";
inline constexpr std::string_view kTokenizerConfig = "diptych.tokenizer_config";
inline constexpr std::string_view kChatTemplate = "diptych.chat_template";
inline constexpr std::string_view kGenerationConfig = "diptych.generation_config";

// More is refused when a card is read; of the tokenizer and its configuration, which may list added
// tokens, text::kMaxTokenizerBytes.
inline constexpr uint64_t kMaxTextBytes = 4 << 20;  // of each of the other two

struct ModelCard {
  std::string name;      // empty: not said, like all that is missing below
  std::string recipe;    // by which the weights were quantised, as the exporter names it
  std::string rotation;  // folded into the weights, as llama::name() calls it
  std::optional<int64_t> bos;
  std::vector<int64_t> eos;  // ids that end an answer, in the file's order
  // A file of a kind that text::read_tokenizer() reads; of a card that was read, a view into the
  // program's file. No bytes: none.
  pte::Blob tokenizer;
  text::TokenizerRules tokenizer_rules;  // that go with it
  std::string chat_template;             // Jinja
  GenerationDefaults generation;
  // Of card_of_model(), not stored: what was left out and why, a line each.
  std::vector<std::string> notes;

  bool has_tokenizer() const { return tokenizer.size() > 0; }
};

// The card of a program that was read from a file. (runtime::Program::container() is one.) Every
// part may be missing; ids may also be several outputs, as upstream's exporter writes lists. Fails
// on parts of the wrong type or above the limits, naming the method or key. The tokenizer itself is
// not looked at.
Result<ModelCard> read_card(const pte::Program& program);

// The card's tokenizer, opened, its rules applied. NotFound when there is none.
Result<std::unique_ptr<text::Tokenizer>> open_tokenizer(const ModelCard& card);

// Adds the card to a program, in place of what the program has of the same name; what the card
// leaves out stays as it is. Fails when a method that computes has one of the names, and when the
// model's name is not UTF-8.
Status add_card(const ModelCard& card, pte::Program& program);

}  // namespace diptych::card
