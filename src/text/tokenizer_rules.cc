#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "base/in_quotes.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace diptych::text {

namespace {

using Added = TokenizerRules::Added;

constexpr const char* kDecoder = "added_tokens_decoder";
constexpr const char* kExtra = "extra_special_tokens";
constexpr const char* kAdditional = "additional_special_tokens";  // its older name

// The tokens that have names of their own, in the order in which they get ids.
constexpr std::array<const char*, 7> kNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                               "pad_token", "cls_token", "mask_token"};

bool has(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && !object[key].is_null();
}

Result<std::optional<bool>> flag(const Json& config, const char* key) {
  if (!has(config, key)) return std::nullopt;
  return TRY(json_bool(config, key));
}

// A token by its name: a string, or an object with "content" and flags.
Result<AddedToken> named_token(const Json& json) {
  AddedToken token;
  if (json.is_object()) {
    token = TRY(AddedToken::read(json));
  } else if (json.is_string()) {
    token.content = json.get<std::string>();
  } else {
    return invalid_data("expected the name of a token, found {}", in_quotes(dump_json(json)));
  }
  token.special = true;
  return token;
}

// In the order of their ids.
Result<std::vector<Added>> tokens_of_decoder(const Json& decoder) {
  if (!decoder.is_object()) return invalid_data("expected an object");
  std::map<TokenId, Added> by_id;
  for (const auto& [key, json] : decoder.items()) {
    TokenId id = kNoToken;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      return invalid_data("expected token ids, found {}", in_quotes(key));
    }
    AddedToken token = TRY(within(in_quotes(key), AddedToken::read(json)));
    token.id = id;
    by_id[id] = {std::move(token), true, false, true};
  }
  std::vector<Added> tokens;
  for (auto& [id, token] : by_id) tokens.push_back(std::move(token));
  return tokens;
}

// Of an added_tokens.json: {"<tool>": 32000}.
Result<std::vector<Added>> tokens_of_list(const Json& list) {
  std::map<int64_t, Added> by_id;
  for (const auto& [content, id] : list.items()) {
    if (!id.is_number_integer()) {
      return invalid_data("added_tokens.json: {}: expected a token id, found {}",
                          in_quotes(content), in_quotes(dump_json(id)));
    }
    AddedToken token;
    token.id = id.get<int64_t>() <= INT32_MAX ? id.get<TokenId>() : kNoToken;
    token.content = content;
    token.normalized = true;
    by_id[id.get<int64_t>()] = {std::move(token), false, false, true};
  }
  std::vector<Added> tokens;
  for (auto& [id, token] : by_id) tokens.push_back(std::move(token));
  return tokens;
}

// "extra_special_tokens": a list of tokens, or an object of names and tokens.
Status add_extra(const Json& extra, std::vector<Added>& tokens) {
  if (!extra.is_array() && !extra.is_object()) return invalid_data("expected a list of tokens");
  for (const Json& json : extra) tokens.push_back({TRY(named_token(json)), false, true, true});
  return {};
}

}  // namespace

Result<TokenizerRules> TokenizerRules::read(const Json& config) { return of_files(config, {}, {}); }

Result<TokenizerRules> TokenizerRules::of_files(const Json& config, const Json& special_tokens_map,
                                                const Json& added_tokens) {
  if (!config.is_null() && !config.is_object()) return invalid_data("expected an object");
  TokenizerRules rules;
  rules.add_bos = TRY(flag(config, "add_bos_token"));
  rules.legacy = TRY(flag(config, "legacy"));
  if (config.is_object() && config.contains("legacy")) rules.legacy = rules.legacy.value_or(false);
  rules.add_prefix_space = TRY(flag(config, "add_prefix_space"));
  if (rules.add_prefix_space.value_or(true)) rules.add_prefix_space = std::nullopt;

  const bool has_decoder = has(config, kDecoder);
  // The named tokens, those of the map over those of the configuration.
  Json names = Json::object();
  const auto take_names = [&](const Json& from, bool of_map) {
    if (!from.is_object()) return;
    for (const auto& [key, value] : from.items()) {
      const bool usual = std::find(kNames.begin(), kNames.end(), key) != kNames.end();
      const bool named = key.ends_with("_token") && (value.is_string() || value.is_object());
      if ((!usual && !named) || names.contains(key)) continue;
      names[key] = value;
      if (of_map && value.is_object()) names[key]["special"] = true;
    }
  };
  // Names of a model's own get ids in this order too.
  if (!has_decoder) take_names(special_tokens_map, true);
  take_names(config, false);
  std::vector<Added> named;
  std::set<std::string> special_contents;
  const auto take_named = [&](const std::string& key) -> Status {
    const Json& value = names[key];
    AddedToken token;
    if (!value.is_null()) token = TRY(within(in_quotes(key), named_token(value)));
    if (key == "bos_token") rules.bos = token.content;
    if (key == "eos_token") rules.eos = token.content;
    special_contents.insert(token.content);
    named.push_back({std::move(token), false, true, false});
    return {};
  };
  for (const char* key : kNames) {
    if (names.contains(key)) TRY(take_named(key));
  }
  const std::set<std::string> usual_contents = special_contents;
  for (const auto& [key, value] : names.items()) {
    if (std::find(kNames.begin(), kNames.end(), key) == kNames.end()) TRY(take_named(key));
  }

  std::vector<Added> extra;
  for (const char* key : {kExtra, kAdditional}) {
    if (extra.empty() && has(config, key)) TRY(within(key, add_extra(config[key], extra)));
  }
  std::set<std::string> listed_specials = usual_contents;
  for (const Added& token : extra) listed_specials.insert(token.token.content);
  if (!has_decoder && has(special_tokens_map, kExtra)) {
    TRY(within(kExtra, add_extra(special_tokens_map[kExtra], extra)));
  }
  const bool configured = has(config, kExtra) || has(config, kAdditional);
  if (!has_decoder && !configured && extra.empty() && has(special_tokens_map, kAdditional)) {
    TRY(within(kAdditional, add_extra(special_tokens_map[kAdditional], extra)));
  }

  std::vector<Added> tokens;
  if (has_decoder) {
    tokens = TRY(within(kDecoder, tokens_of_decoder(config[kDecoder])));
  } else if (added_tokens.is_object()) {
    tokens = TRY(tokens_of_list(added_tokens));
    for (Added& token : tokens) {
      token.token.special = listed_specials.contains(token.token.content);
      token.token.normalized = !token.token.special;
    }
  }
  for (Added& token : tokens) token.is_named = special_contents.contains(token.token.content);
  rules.added = std::move(tokens);
  rules.added.insert(rules.added.end(), named.begin(), named.end());
  rules.added.insert(rules.added.end(), extra.begin(), extra.end());
  return rules;
}

Json TokenizerRules::to_json() const {
  Json json = Json::object();
  const auto say = [&](const char* key, const std::optional<std::string>& token) {
    if (token) json[key] = token->empty() ? Json() : Json(*token);
  };
  if (add_bos) json["add_bos_token"] = *add_bos;
  say("bos_token", bos);
  say("eos_token", eos);
  if (legacy) json["legacy"] = *legacy;
  if (add_prefix_space) json["add_prefix_space"] = *add_prefix_space;
  for (const Added& wish : added) {
    if (wish.token.id == kNoToken) continue;  // BOS or EOS by name
    json[kDecoder][std::to_string(wish.token.id)] = wish.token.to_json();
  }
  return json;
}

}  // namespace diptych::text
