#include "text/hf/hf_tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "base/json.h"
#include "text/bpe_model.h"
#include "text/hf/component.h"
#include "text/hf/decoder.h"
#include "text/hf/normalizer.h"
#include "text/hf/post_processor.h"
#include "text/hf/pre_tokenizer.h"

namespace diptych::text::hf {

namespace {

const Json kNull;

const Json& member_or_null(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

// Ids may have gaps, but not so many that a small file makes a large table.
constexpr size_t kMostMissing = 1 << 16;

// The vocabulary of the model: tokens by id, views into `vocab`.
Result<std::vector<std::string_view>> read_vocab(const Json& vocab) {
  if (!vocab.is_object()) return invalid_data("\"vocab\": expected an object");
  std::vector<std::string_view> tokens;
  const size_t limit = 2 * vocab.size() + kMostMissing;
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= std::min<size_t>(limit, INT32_MAX)) {
      return invalid_data("\"vocab\": {}: expected an id below {}, found {}", in_quotes(token),
                          limit, in_quotes(dump_json(id)));
    }
    const auto index = id.get<size_t>();
    if (index >= tokens.size()) tokens.resize(index + 1);
    if (!tokens[index].empty()) {
      return invalid_data("\"vocab\": {} and {} have the same id {}", in_quotes(tokens[index]),
                          in_quotes(token), index);
    }
    tokens[index] = token;
  }
  return tokens;
}

using Merges = std::vector<std::pair<std::string_view, std::string_view>>;

// Views into `json`. A merge is "left right" or ["left", "right"].
Result<Merges> read_merges(const Json& json) {
  if (!json.is_array()) return invalid_data("\"merges\": expected an array");
  Merges merges;
  merges.reserve(json.size());
  constexpr std::string_view kHeader = "#version";  // of a merges.txt, wherever it stands
  for (const Json& merge : json) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.emplace_back(merge[0].get_ref<const std::string&>(),
                          merge[1].get_ref<const std::string&>());
      continue;
    }
    const std::string_view text =
        merge.is_string() ? std::string_view(merge.get_ref<const std::string&>()) : "";
    if (text.starts_with(kHeader)) continue;
    const size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) {
      return invalid_data("merge {}: expected two tokens, found {}", merges.size(),
                          in_quotes(dump_json(merge)));
    }
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return merges;
}

// The "added_tokens". Empty ones can be found nowhere; one that comes again is the same.
Result<std::vector<AddedToken>> read_added_tokens(const Json& json) {
  std::vector<AddedToken> tokens;
  if (json.is_null()) return tokens;
  if (!json.is_array()) return invalid_data("expected an array");
  std::unordered_map<std::string, size_t> places;
  std::unordered_map<TokenId, size_t> ids;
  size_t index = 0;
  for (const Json& entry : json) {
    const std::string what = fmt::format("entry {}", index++);
    AddedToken token = TRY(within(what, AddedToken::read(entry)));
    const int64_t id = TRY(within(what, json_int(entry, "id")));
    if (id < 0 || id >= INT32_MAX) {
      return invalid_data("{}: \"id\": expected a token id, found {}", what, id);
    }
    token.id = static_cast<TokenId>(id);
    if (token.content.empty()) continue;
    if (const auto same = places.find(token.content); same != places.end()) {
      const AddedToken& there = tokens[same->second];
      if (there.id == token.id && there.same_flags(token)) continue;
      return invalid_data("{}: the token {} comes again and is another", what,
                          in_quotes(token.content));
    }
    if (!ids.emplace(token.id, tokens.size()).second) {
      return invalid_data("{}: the id {} occurs twice", what, token.id);
    }
    places.emplace(token.content, tokens.size());
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Status refuse_unless_empty(const Json& model, const char* key) {
  const Json& value = member_or_null(model, key);
  if (value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
      (value.is_number() && value.get<double>() == 0)) {
    return {};
  }
  return unsupported("\"{}\" is {}; only models without it are supported", key,
                     in_quotes(dump_json(value)));
}

Result<BpeModel> read_model(const Json& model) {
  const Json& type = member_or_null(model, "type");
  if (type.is_string() && type != "BPE") {
    return unknown_component("model", type.get<std::string>(), "BPE");
  }
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    TRY(refuse_unless_empty(model, key));
  }
  const std::vector<std::string_view> tokens = TRY(read_vocab(*TRY(json_member(model, "vocab"))));
  const Merges merges = TRY(read_merges(*TRY(json_member(model, "merges"))));
  Vocabulary vocabulary = TRY(Vocabulary::build(tokens));
  BpeOptions options;
  options.byte_fallback = TRY(bool_or(model, "byte_fallback", false));
  options.ignore_merges = TRY(bool_or(model, "ignore_merges", false));
  options.fuse_unknown = TRY(bool_or(model, "fuse_unk", false));
  if (!member_or_null(model, "unk_token").is_null()) {
    const std::string unknown = TRY(json_string(model, "unk_token"));
    options.unknown = vocabulary.find(unknown);
    if (options.unknown == kNoToken) {
      return invalid_data("the vocabulary lacks the \"unk_token\" {}", in_quotes(unknown));
    }
  }
  return BpeModel::build(std::move(vocabulary), merges, options);
}

class HfTokenizer : public Tokenizer {
 public:
  HfTokenizer(BpeModel model, Normalizer normalizer, PreTokenizer pre_tokenizer, Decoder decoder)
      : model_(std::move(model)),
        normalizer_(std::move(normalizer)),
        pre_tokenizer_(std::move(pre_tokenizer)),
        decoder_(std::move(decoder)) {}

  // Fills the pieces and the names; checks ids of added tokens and of the template.
  Status finish(std::vector<AddedToken> added, const PostProcessor& processor) {
    drops_leading_space_ = decoder_.drops_leading_space();
    const size_t model_size = model_.vocabulary().size();
    pieces_.resize(model_size);
    for (size_t id = 0; id < model_size; ++id) {
      pieces_[id] = TRY(decoder_.piece(model_.vocabulary().token(static_cast<TokenId>(id))));
    }
    size_t highest = model_size;
    for (const AddedToken& token : added) {
      TRY(check(token, highest));
      highest = std::max(highest, static_cast<size_t>(token.id) + 1);
    }
    TRY(within("added_tokens", set_added(std::move(added))));
    for (const std::vector<TokenId>* ids : {&processor.before, &processor.after}) {
      for (const TokenId id : *ids) {
        if (id < vocab_size()) continue;
        return invalid_data("post_processor: the id {} is outside the vocabulary of {}", id,
                            vocab_size());
      }
    }
    set_ends(first_special(processor.before, {"<s>", "<|begin_of_text|>"}),
             first_special(processor.after, {"</s>", "<|end_of_text|>", "<|endoftext|>"}),
             processor.before, processor.after);
    return {};
  }

  std::string_view kind() const override { return "tokenizer.json"; }

 private:
  Status check(const AddedToken& token, size_t highest) const {
    const Vocabulary& vocabulary = model_.vocabulary();
    const auto index = static_cast<size_t>(token.id);
    const TokenId in_model = vocabulary.find(token.content);
    const bool taken = index < vocabulary.size() && !vocabulary.token(token.id).empty();
    if (in_model != token.id && (in_model != kNoToken || taken)) {
      return invalid_data("the added token {} has id {}, but in the vocabulary {}",
                          in_quotes(token.content), token.id,
                          in_model != kNoToken
                              ? fmt::format("it has id {}", in_model)
                              : fmt::format("this is {}", in_quotes(vocabulary.token(token.id))));
    }
    if (index >= highest + kMostMissing) {
      return invalid_data("the added token {} has id {}, far beyond the {} before it",
                          in_quotes(token.content), token.id, highest);
    }
    return {};
  }

  TokenId vocabulary_id(std::string_view token) const override {
    return model_.vocabulary().find(token);
  }
  bool normalizes() const override { return true; }
  Result<std::string> normalize(std::string text, Work& work) const override {
    return normalizer_.apply(std::move(text), work);
  }
  Result<std::string> text_of(const AddedToken& token) const override {
    if (token.special) return std::string();
    return decoder_.piece(token.normalized_content);
  }

  // The first of the template's tokens that is special; where it has none, the first of `names`
  // that is.
  TokenId first_special(const std::vector<TokenId>& ids,
                        std::initializer_list<std::string_view> names) const {
    for (const TokenId id : ids) {
      if (!special_name(id).empty()) return id;
    }
    for (const std::string_view name : names) {
      const AddedToken* token = added_.find(name);
      if (token != nullptr && token->special) return token->id;
    }
    return kNoToken;
  }

  Status encode_stretch(std::string_view text, bool at_start, Work& work,
                        std::vector<TokenId>& ids) const override {
    Pieces pieces = Pieces::whole(std::string(text), at_start);
    TRY(pre_tokenizer_.apply(pieces, work));
    for (const Match& range : pieces.ranges) model_.encode(pieces.piece(range), ids);
    return {};
  }

  BpeModel model_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Decoder decoder_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> read_tokenizer_json(std::string_view file) {
  const Json json = TRY(parse_json(file));
  const Json* model_json = json.is_object() && json.contains("model") ? &json["model"] : nullptr;
  if (model_json == nullptr || !model_json->is_object()) {
    return invalid_data("not a tokenizer.json: expected an object with a \"model\"");
  }
  const auto component = [&](const char* key) -> const Json& { return member_or_null(json, key); };
  BpeModel model = TRY(within("model", read_model(*model_json)));
  Normalizer normalizer = TRY(within("normalizer", Normalizer::read(component("normalizer"))));
  PreTokenizer pre_tokenizer =
      TRY(within("pre_tokenizer", PreTokenizer::read(component("pre_tokenizer"))));
  std::vector<AddedToken> added =
      TRY(within("added_tokens", read_added_tokens(component("added_tokens"))));
  Decoder decoder = TRY(within("decoder", Decoder::read(component("decoder"))));
  const PostProcessor processor =
      TRY(within("post_processor", PostProcessor::read(component("post_processor"))));
  auto tokenizer = std::make_unique<HfTokenizer>(std::move(model), std::move(normalizer),
                                                 std::move(pre_tokenizer), std::move(decoder));
  TRY(tokenizer->finish(std::move(added), processor));
  return tokenizer;
}

}  // namespace diptych::text::hf
