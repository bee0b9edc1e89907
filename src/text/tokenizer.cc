#include "text/tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"
#include "base/in_quotes.h"
#include "base/stand_in.h"
#include "text/hf/hf_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tiktoken_tokenizer.h"

namespace diptych::text {

namespace {

// Tokens that end a text, a message or a turn, in the families' vocabularies.
constexpr std::array<std::string_view, 8> kEndNames = {
    "</s>",  // Llama 2, Mistral, Zephyr
    "<|end_of_text|>",
    "<|eom_id|>",
    "<|eot_id|>",  // Llama 3
    "<|endoftext|>",
    "<|im_end|>",  // Qwen, SmolLM
    "<|end|>",     // Phi-3
    "<|endofturn|>",
};

// The first line of a rank file: base64, one space, digits.
bool looks_like_tiktoken(std::string_view file) {
  const std::string_view line = file.substr(0, file.find('\n'));
  constexpr std::string_view kBase64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  const size_t space = line.find_first_not_of(kBase64);
  return space != 0 && space != line.npos && line[space] == ' ' && space + 1 < line.size() &&
         line[space + 1] >= '0' && line[space + 1] <= '9';
}

// Field 1 (pieces) of the message, length-delimited, comes first in every model. A line feed may
// also start JSON, but then an object follows.
bool looks_like_sentencepiece(std::string_view file) { return file[0] == '\x0A'; }

bool looks_like_json(std::string_view file) {
  const size_t first = file.find_first_not_of(" \t\r\n");
  return first != file.npos && file[first] == '{';
}

// The name of a token in a configuration: null, a string, or an object with its "content".
Result<std::optional<std::string>> token_name(const Json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end()) return std::nullopt;
  if (found->is_null()) return std::string();
  if (found->is_object()) return within(key, json_string(*found, "content"));
  return json_string(config, key);
}

Result<std::unique_ptr<Tokenizer>> read_file(Bytes file) {
  const std::string_view content = as_text(file);
  if (content.empty()) return invalid_data("the tokenizer file is empty");
  if (looks_like_json(content)) return hf::read_tokenizer_json(content);
  if (looks_like_sentencepiece(content)) return read_sentencepiece(file);
  if (looks_like_tiktoken(content)) return read_tiktoken(content);
  return invalid_data(
      "not a tokenizer: expected a SentencePiece model (first byte 0x0a), a tiktoken rank file "
      "(lines of base64 and rank) or a tokenizer.json, found first byte {:#04x}",
      static_cast<uint8_t>(content[0]));
}

Result<TokenizerRules> open_rules(const std::string& path) {
  const std::string text = TRY(read_text_file(path));
  return within(path, TokenizerRules::read(TRY(within(path, parse_json(text)))));
}

// The tokenizer's file in a model's directory.
Result<std::string> file_in(const std::filesystem::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    const std::filesystem::path path = directory / name;
    if (is_there(path.string())) return path.string();
  }
  return not_found("{}: no tokenizer.json and no tokenizer.model in this directory",
                   directory.string());
}

}  // namespace

Result<TokenizerRules> TokenizerRules::read(const Json& config) {
  if (!config.is_object()) return invalid_data("expected an object");
  TokenizerRules rules;
  const auto add_bos = config.find("add_bos_token");
  if (add_bos != config.end() && !add_bos->is_null()) {
    rules.add_bos = TRY(json_bool(config, "add_bos_token"));
  }
  rules.bos = TRY(token_name(config, "bos_token"));
  rules.eos = TRY(token_name(config, "eos_token"));
  return rules;
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool with_bos,
                                               Specials specials) const {
  if (text.size() > kMaxTextBytes) {
    return invalid_argument("a text of {} bytes to encode, at most {} are possible", text.size(),
                            kMaxTextBytes);
  }
  std::vector<TokenId> ids;
  if (with_bos) ids = prefix_;
  TRY(encode_text(text, specials, ids));
  return ids;
}

void Tokenizer::set_ends(TokenId bos, TokenId eos, std::vector<TokenId> prefix,
                         std::vector<TokenId> suffix) {
  bos_ = bos;
  eos_ = eos;
  prefix_ = std::move(prefix);
  suffix_ = std::move(suffix);
  find_stop_ids();
}

void Tokenizer::find_stop_ids() {
  stop_ids_.clear();
  if (eos_ != kNoToken) stop_ids_.push_back(eos_);
  for (const std::string_view name : kEndNames) {
    // A word of the vocabulary that is not special ends nothing.
    const TokenId id = special(name);
    if (id != kNoToken && !special_name(id).empty()) stop_ids_.push_back(id);
  }
  std::sort(stop_ids_.begin(), stop_ids_.end());
  stop_ids_.erase(std::unique(stop_ids_.begin(), stop_ids_.end()), stop_ids_.end());
}

Status Tokenizer::apply(const TokenizerRules& rules) {
  const auto resolve = [&](const char* key, const std::optional<std::string>& name,
                           TokenId& id) -> Status {
    if (!name) return {};
    id = name->empty() ? kNoToken : special(*name);
    if (id != kNoToken || name->empty()) return {};
    return invalid_data("the configuration's {} {} is no token of the vocabulary", key,
                        in_quotes(*name));
  };
  const TokenId old_bos = bos_;
  TRY(resolve("bos_token", rules.bos, bos_));
  TRY(resolve("eos_token", rules.eos, eos_));
  if (rules.bos && bos_ != old_bos) std::erase(prefix_, old_bos);
  if (rules.add_bos) prefix_.clear();
  if (rules.add_bos.value_or(false) && bos_ != kNoToken) prefix_ = {bos_};
  find_stop_ids();
  return {};
}

Result<std::unique_ptr<Tokenizer>> read_tokenizer(Bytes file, const TokenizerRules& rules) {
  auto tokenizer = TRY(read_file(file));
  TRY(tokenizer->apply(rules));
  return tokenizer;
}

Result<TokenizerFile> load_tokenizer_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  TokenizerFile file;
  file.source = path;
  if (fs::is_directory(path, ignored)) {
    const std::string config = (fs::path(path) / "tokenizer_config.json").string();
    if (is_there(config)) file.rules = TRY(open_rules(config));
    file.source = TRY(file_in(path));
  }
  file.bytes = TRY(read_text_file(file.source, kMaxTokenizerBytes));
  return file;
}

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path) {
  return open_tokenizer(TRY(load_tokenizer_file(path)));
}

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const TokenizerFile& file) {
  return within(file.source, read_tokenizer(as_bytes(file.bytes), file.rules));
}

}  // namespace diptych::text
