#include "text/tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/file.h"
#include "base/in_quotes.h"
#include "base/json.h"
#include "base/stand_in.h"
#include "text/hf/hf_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tiktoken_tokenizer.h"
#include "text/utf8.h"

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

// A JSON object beside the tokenizer; null when there is no such file.
Result<Json> json_beside(const std::filesystem::path& directory, const char* name) {
  const std::string path = (directory / name).string();
  if (!is_there(path)) return Json();
  Json json = TRY(within(path, parse_json(TRY(read_text_file(path)))));
  if (!json.is_object()) return within<Json>(path, invalid_data("expected an object"));
  return json;
}

Result<TokenizerRules> open_rules(const std::filesystem::path& directory) {
  const Json config = TRY(json_beside(directory, "tokenizer_config.json"));
  const Json special_tokens_map = TRY(json_beside(directory, "special_tokens_map.json"));
  const Json added_tokens = TRY(json_beside(directory, "added_tokens.json"));
  TokenizerRules rules =
      TRY(within((directory / "tokenizer_config.json").string(),
                 TokenizerRules::of_files(config, special_tokens_map, added_tokens)));
  // What transformers takes for granted, where it is at work.
  const bool adds = std::any_of(rules.added.begin(), rules.added.end(),
                                [](const TokenizerRules::Added& token) { return token.is_listed; });
  if (adds && !rules.legacy) rules.legacy = false;
  return rules;
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

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool with_bos,
                                               Specials specials) const {
  if (text.size() > kMaxTextBytes) {
    return invalid_argument("a text of {} bytes to encode, at most {} are possible", text.size(),
                            kMaxTextBytes);
  }
  Work work(text.size());
  std::string replaced;
  if (replaces_invalid() && valid_utf8_prefix(text) < text.size()) {
    replaced = replace_invalid_utf8(text);
    text = replaced;
  }
  std::vector<TokenId> ids;
  if (with_bos) ids = prefix_;
  const bool with_specials = specials == Specials::AsTokens;
  for (const Segment& raw : TRY(added_.split(text, false, with_specials, work))) {
    if (raw.id != kNoToken) {
      ids.push_back(raw.id);
      continue;
    }
    const std::string normal =
        TRY(normalize(std::string(text.substr(raw.begin, raw.end - raw.begin)), work));
    for (const Segment& segment : TRY(added_.split(normal, true, with_specials, work))) {
      if (segment.id != kNoToken) {
        ids.push_back(segment.id);
        continue;
      }
      const auto stretch =
          std::string_view(normal).substr(segment.begin, segment.end - segment.begin);
      TRY(encode_stretch(stretch, raw.begin == 0 && segment.begin == 0, work, ids));
    }
  }
  TRY(check_ids(ids));
  return ids;
}

Status Tokenizer::check_ids(const std::vector<TokenId>& ids) const {
  if (id_limit_ >= vocab_size()) return {};
  for (const TokenId id : ids) {
    if (id < id_limit_) continue;
    const std::string name = special_name(id);
    return invalid_argument("the text has the token {}, id {}, which the model lacks: it knows {}",
                            in_quotes(name.empty() ? piece(id) : name), id, id_limit_);
  }
  return {};
}

Status Tokenizer::check_may_fit(size_t bytes, int64_t max_tokens) const {
  constexpr size_t kMostShrunk = 4;  // bytes of a character that normal forms take together
  const size_t longest = longest_piece_ * (normalizes() ? kMostShrunk : 1);
  const auto most = static_cast<size_t>(std::max<int64_t>(max_tokens, 0));
  if (bytes <= kAlwaysTried || bytes / longest <= most) return {};
  return invalid_argument(
      "a text of {} bytes does not fit {} tokens, of which none has more than {}", bytes, most,
      longest);
}

TokenId Tokenizer::special(std::string_view name) const {
  const AddedToken* token = added_.find(name);
  return token != nullptr ? token->id : vocabulary_id(name);
}

std::string Tokenizer::special_name(TokenId id) const {
  const AddedToken* token = added_.find(id);
  return token != nullptr && token->special ? token->content : std::string();
}

Status Tokenizer::set_added(std::vector<AddedToken> tokens) {
  for (AddedToken& token : tokens) {
    token.normalized_content = token.content;
    if (token.normalized) {
      Work work(token.content.size());
      token.normalized_content = TRY(normalize(token.content, work));
    }
    const auto index = static_cast<size_t>(token.id);
    if (index >= pieces_.size()) pieces_.resize(index + 1);
    pieces_[index] = TRY(text_of(token));
  }
  added_ = TRY(AddedTokens::build(std::move(tokens)));
  for (const std::string& piece : pieces_) longest_piece_ = std::max(longest_piece_, piece.size());
  for (const AddedToken& token : added_.tokens()) {
    longest_piece_ = std::max(longest_piece_, token.content.size());
  }
  return {};
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

Status Tokenizer::add(const std::vector<TokenizerRules::Added>& wanted) {
  std::vector<AddedToken> tokens = added_.tokens();
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < tokens.size(); ++i) places[tokens[i].content] = i;
  // Of names for one token the last one's flags count, unless the token was there before.
  std::unordered_set<std::string> settled;
  for (const AddedToken& token : tokens) settled.insert(token.content);
  auto next = static_cast<TokenId>(pieces_.size());
  std::set<size_t> changed;  // places
  for (const auto& [wish, changes_flags, is_named, _] : wanted) {
    AddedToken token = wish;
    if (token.content.empty()) continue;  // can be found nowhere
    const auto found = places.find(token.content);
    if (found != places.end()) {
      AddedToken& there = tokens[found->second];
      if (changes_flags) settled.insert(token.content);
      const bool contradicts = wish.id != kNoToken && wish.id != there.id;
      const bool may_change = changes_flags || contradicts || !settled.contains(token.content);
      if (!may_change || there.same_flags(token)) continue;
      token.special = token.special || is_named;
      token.id = there.id;
      there = token;
    } else {
      token.special = token.special || is_named;
      token.id = vocabulary_id(token.content);
      if (token.id == kNoToken) token.id = next++;
      if (changes_flags) settled.insert(token.content);
      places[token.content] = tokens.size();
      tokens.push_back(token);
    }
    changed.insert(places[token.content]);
  }
  for (const size_t place : changed) rules_.added.push_back({tokens[place], true, false, true});
  return changed.empty() ? Status() : set_added(std::move(tokens));
}

Status Tokenizer::apply(const TokenizerRules& rules) {
  rules_.add_bos = rules.add_bos;
  rules_.bos = rules.bos;
  rules_.eos = rules.eos;
  TRY(apply_own(rules));
  TRY(add(rules.added));
  std::vector<TokenizerRules::Added> ends;
  for (const auto& name : {rules.bos, rules.eos}) {
    if (!name || added_.find(*name) != nullptr) continue;
    AddedToken token;
    token.content = *name;
    token.special = true;
    ends.push_back({token, false, true, false});
  }
  const size_t told = rules_.added.size();
  TRY(add(ends));
  rules_.added.resize(told);  // the names say these

  const TokenId old_bos = bos_;
  if (rules.bos) bos_ = rules.bos->empty() ? kNoToken : special(*rules.bos);
  if (rules.eos) eos_ = rules.eos->empty() ? kNoToken : special(*rules.eos);
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
    file.rules = TRY(open_rules(path));
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
