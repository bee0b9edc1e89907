#include "text/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <protozero/pbf_writer.hpp>
#include <unordered_set>

#include "base/in_quotes.h"
#include "base/json.h"

namespace diptych::text {

namespace {

enum TokenType : int32_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

// How the text of a byte-level model is cut into words: what the tokenizer.json of the models that
// bear a name says.
struct Words {
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

constexpr Words kGpt2{false, false, "", false};
constexpr Words kLlama3{false, false, kLlama3Split, true};
constexpr Words kLlama3Merged{false, false, kLlama3Split, false};
constexpr Words kQwen2{true, false, kQwenSplit, false};
constexpr Words kQwen2Plain{false, false, kQwenSplit, false};
constexpr Words kSmollm{false, true, "", false};
constexpr Words kTekken{false, false, kTekkenSplit, true};

// Which of them a name stands for. Source: src/llama-vocab.cpp of github.com/ggml-org/llama.cpp.
struct Name {
  std::string_view name;
  const Words* words;
};
constexpr std::array kNames = {
    Name{"default", &kGpt2},
    Name{"gpt-2", &kGpt2},
    Name{"a.x-4.0", &kGpt2},
    Name{"exaone4", &kGpt2},
    Name{"gigachat", &kGpt2},
    Name{"granite-docling", &kGpt2},
    Name{"jais", &kGpt2},
    Name{"jina-de", &kGpt2},
    Name{"jina-es", &kGpt2},
    Name{"jina-v2-de", &kGpt2},
    Name{"jina-v2-es", &kGpt2},
    Name{"mellum", &kGpt2},
    Name{"modern-bert", &kGpt2},
    Name{"mpt", &kGpt2},
    Name{"olmo", &kGpt2},
    Name{"phi-2", &kGpt2},
    Name{"trillion", &kGpt2},
    Name{"llama-bpe", &kLlama3},
    Name{"llama3", &kLlama3},
    Name{"llama-v3", &kLlama3},
    Name{"falcon-h1", &kLlama3},
    Name{"falcon3", &kLlama3},
    Name{"jina-v5-nano", &kLlama3},
    Name{"lfm2", &kLlama3},
    Name{"midm-2.0", &kLlama3},
    Name{"pixtral", &kLlama3},
    Name{"chatglm-bpe", &kLlama3Merged},
    Name{"dbrx", &kLlama3Merged},
    Name{"glm4", &kLlama3Merged},
    Name{"smaug-bpe", &kLlama3Merged},
    Name{"qwen2", &kQwen2},
    Name{"deepseek-r1-qwen", &kQwen2},
    Name{"f2llmv2", &kQwen2},
    Name{"kormo", &kQwen2},
    Name{"megrez", &kQwen2},
    Name{"grok-2", &kQwen2Plain},
    Name{"hunyuan", &kQwen2Plain},
    Name{"solar-open", &kQwen2Plain},
    Name{"stablelm2", &kQwen2Plain},
    Name{"smollm", &kSmollm},
    Name{"codeshell", &kSmollm},
    Name{"command-r", &kSmollm},
    Name{"exaone", &kSmollm},
    Name{"mellum2", &kSmollm},
    Name{"minerva-7b", &kSmollm},
    Name{"refact", &kSmollm},
    Name{"starcoder", &kSmollm},
    Name{"tekken", &kTekken},
};

Result<const Words*> words_of(std::string_view pre) {
  if (pre.empty()) return &kGpt2;
  std::string known;
  for (const auto& [name, words] : kNames) {
    if (name == pre) return words;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
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
  if (gguf.model == "gpt2" && gguf.merges.empty()) {
    return invalid_data(
        "tokenizer.ggml.merges is missing or empty; without merges every text would be single "
        "bytes");
  }
  return {};
}

// The name of a token without one, as llama.cpp gives it: nothing becomes that token.
std::string name_of(const GgufTokenizer& gguf, size_t id) {
  return gguf.tokens[id].empty() ? fmt::format("[EMPTY_{}]", id) : gguf.tokens[id];
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
    if (gguf.tokens[id].empty()) type = kUnused;
    piece.add_string(1, name_of(gguf, id));
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
  Json added = Json::array(), merges = Json::array();
  // Of merges that come again llama.cpp takes the first, a tokenizer.json means the last.
  std::unordered_set<std::string_view> seen;
  for (const std::string& merge : gguf.merges) {
    if (seen.insert(merge).second) merges.push_back(merge);
  }
  for (size_t id = 0; id < gguf.tokens.size(); ++id) {
    const int32_t type = type_of(gguf, id);
    const std::string& token = gguf.tokens[id];
    if (token.empty()) continue;  // nothing becomes it
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
                      {"merges", std::move(merges)}};
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
    // Found before the rest is given to SentencePiece, which would put its space before them.
    for (size_t id = 0; id < gguf.tokens.size(); ++id) {
      if (type_of(gguf, id) != kUserDefined || gguf.tokens[id].empty()) continue;
      AddedToken token;
      token.id = static_cast<TokenId>(id);
      token.content = gguf.tokens[id];
      file.rules.added.push_back({std::move(token), false, false, true});
    }
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
