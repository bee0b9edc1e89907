#include "text/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <protozero/pbf_writer.hpp>

#include "base/in_quotes.h"
#include "base/json.h"

namespace diptych::text {

namespace {

enum TokenType : int32_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

// How the text of a byte-level model is cut into words, by the name in "tokenizer.ggml.pre": what
// the tokenizer.json of the models that bear it says.
struct Words {
  std::string_view name;
  bool nfc = false;
  bool single_digits = false;  // every digit a word, before anything else
  std::string_view split;      // an expression; "": GPT-2's words
  bool llama3 = false;         // words that are tokens are not merged; BOS by default
};

constexpr std::string_view kLlama3Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwenSplit =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenSplit =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::array kWords = {
    Words{"default", false, false, "", false},
    Words{"gpt-2", false, false, "", false},
    Words{"llama-bpe", false, false, kLlama3Split, true},
    Words{"llama3", false, false, kLlama3Split, true},
    Words{"llama-v3", false, false, kLlama3Split, true},
    Words{"qwen2", true, false, kQwenSplit, false},
    Words{"smollm", false, true, "", false},
    Words{"tekken", false, false, kTekkenSplit, true},
};

Result<const Words*> words_of(std::string_view pre) {
  std::string known;
  for (const Words& words : kWords) {
    if (words.name == (pre.empty() ? "default" : pre)) return &words;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", words.name);
  }
  return unsupported("tokenizer.ggml.pre is {}; known are {}", in_quotes(pre), known);
}

Status check_lists(const GgufTokenizer& gguf) {
  if (gguf.tokens.empty()) return invalid_data("tokenizer.ggml.tokens is missing or empty");
  if (gguf.tokens.size() > INT32_MAX) return invalid_data("{} tokens", gguf.tokens.size());
  const auto check = [&](const char* key, size_t size) -> Status {
    if (size == gguf.tokens.size()) return {};
    return invalid_data("tokenizer.ggml.{} has {} entries for {} tokens", key, size,
                        gguf.tokens.size());
  };
  if (!gguf.token_types.empty()) TRY(check("token_type", gguf.token_types.size()));
  if (gguf.model == "llama") TRY(check("scores", gguf.scores.size()));
  return {};
}

int32_t type_of(const GgufTokenizer& gguf, size_t id) {
  return gguf.token_types.empty() ? kNormal : gguf.token_types[id];
}

// The token with an id that the metadata gives, or none.
Result<std::optional<std::string>> token_at(const GgufTokenizer& gguf, const char* key,
                                            const std::optional<int64_t>& id) {
  if (!id || *id == -1) return std::nullopt;
  if (*id < 0 || static_cast<uint64_t>(*id) >= gguf.tokens.size()) {
    return invalid_data("tokenizer.ggml.{} is {}, outside the {} tokens", key, *id,
                        gguf.tokens.size());
  }
  return gguf.tokens[static_cast<size_t>(*id)];
}

// A ModelProto (sentencepiece_model.proto): pieces, the kind of model, and how text is normalised.
Result<std::string> sentencepiece_model(const GgufTokenizer& gguf) {
  const auto bos = TRY(token_at(gguf, "bos_token_id", gguf.bos));
  const auto eos = TRY(token_at(gguf, "eos_token_id", gguf.eos));
  const auto unknown = TRY(token_at(gguf, "unknown_token_id", gguf.unknown));
  std::string file;  // complete when the inner writers are gone
  protozero::pbf_writer model(file);
  bool byte_fallback = false;
  for (size_t id = 0; id < gguf.tokens.size(); ++id) {
    int32_t type = type_of(gguf, id);
    // The library knows these only as control and unknown pieces.
    if (gguf.bos == static_cast<int64_t>(id) || gguf.eos == static_cast<int64_t>(id)) {
      type = kControl;
    }
    if (gguf.unknown == static_cast<int64_t>(id)) type = kUnknown;
    byte_fallback = byte_fallback || type == kByte;
    protozero::pbf_writer piece(model, 1);
    piece.add_string(1, gguf.tokens[id]);
    piece.add_float(2, gguf.scores[id]);
    piece.add_enum(3, type);
  }
  {
    constexpr int32_t kBpe = 2;
    protozero::pbf_writer trainer(model, 2);
    trainer.add_enum(3, kBpe);
    trainer.add_bool(35, byte_fallback);
    if (unknown) trainer.add_string(45, *unknown);
    if (bos) trainer.add_string(46, *bos);
    if (eos) trainer.add_string(47, *eos);
  }
  {
    protozero::pbf_writer normalizer(model, 3);
    normalizer.add_string(1, "identity");
    normalizer.add_bool(3, gguf.add_space_prefix.value_or(true));
    normalizer.add_bool(4, false);  // every space counts
    normalizer.add_bool(5, true);   // spaces are U+2581
  }
  return file;
}

Json pre_tokenizer_json(const Words& words) {
  const bool gpt2 = words.split.empty();
  Json steps = Json::array();
  if (words.single_digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (!gpt2) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", words.split}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", gpt2}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

Result<std::string> tokenizer_json(const GgufTokenizer& gguf) {
  const Words& words = *TRY(words_of(gguf.pre));
  Json::object_t vocab;
  Json added = Json::array();
  for (size_t id = 0; id < gguf.tokens.size(); ++id) {
    const int32_t type = type_of(gguf, id);
    const std::string& token = gguf.tokens[id];
    if (token.empty()) return invalid_data("token {} is empty", id);
    // Appended without a search for the name; the reader finds names that occur twice.
    static_cast<std::vector<Json::object_t::value_type>&>(vocab).emplace_back(token, id);
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    added.push_back({{"id", id},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type != kUserDefined}});
  }
  const Json model = {{"type", "BPE"},
                      {"ignore_merges", words.llama3},
                      {"vocab", Json(std::move(vocab))},
                      {"merges", gguf.merges}};
  const Json file = {{"version", "1.0"},
                     {"added_tokens", added},
                     {"normalizer", words.nfc ? Json{{"type", "NFC"}} : Json()},
                     {"pre_tokenizer", pre_tokenizer_json(words)},
                     {"post_processor", nullptr},
                     {"decoder", {{"type", "ByteLevel"}}},
                     {"model", model}};
  return dump_json(file);
}

}  // namespace

Result<TokenizerFile> tokenizer_file_from_gguf(const GgufTokenizer& gguf) {
  TRY(check_lists(gguf));
  TokenizerFile file;
  if (gguf.model == "llama") {
    file.bytes = TRY(sentencepiece_model(gguf));
    file.rules.add_bos = gguf.add_bos.value_or(true);
  } else if (gguf.model == "gpt2") {
    file.bytes = TRY(tokenizer_json(gguf));
    file.rules.add_bos = gguf.add_bos.value_or(TRY(words_of(gguf.pre))->llama3);
  } else {
    return unsupported("tokenizer.ggml.model is {}; known are llama and gpt2",
                       in_quotes(gguf.model));
  }
  file.rules.bos = TRY(token_at(gguf, "bos_token_id", gguf.bos)).value_or("");
  file.rules.eos = TRY(token_at(gguf, "eos_token_id", gguf.eos)).value_or("");
  return file;
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const GgufTokenizer& gguf) {
  const TokenizerFile file = TRY(tokenizer_file_from_gguf(gguf));
  return read_tokenizer(as_bytes(file.bytes), file.rules);
}

}  // namespace diptych::text
