#include "card/model_card.h"

#include <algorithm>

#include "base/json.h"
#include "base/utf8.h"
#include "pte/constant_method.h"

namespace diptych::card {

namespace {

constexpr size_t kMaxEosIds = 1024;

// The bytes under a key, or none.
Result<Bytes> data_of(const pte::Program& program, std::string_view key, uint64_t limit) {
  const pte::Blob* blob = pte::find_named_data(program, key);
  if (blob == nullptr) return Bytes();
  if (!blob->in_memory()) return invalid_argument("named data {} is not in memory", key);
  if (blob->size() > limit) {
    return invalid_data("named data {} has {} bytes, at most {} are read", key, blob->size(),
                        limit);
  }
  return blob->bytes();
}

// The object under a key, or null.
Result<Json> object_of(const pte::Program& program, std::string_view key, uint64_t limit) {
  const Bytes bytes = TRY(data_of(program, key, limit));
  if (bytes.empty()) return Json();
  return within(fmt::format("named data {}", key), parse_json(as_text(bytes)));
}

// The values of a constant method; none when there is no such method.
Result<std::vector<pte::ConstantValue>> values_of(const pte::Program& program,
                                                  std::string_view name) {
  const pte::Method* method = pte::find_method(program, name);
  if (method == nullptr) return std::vector<pte::ConstantValue>();
  return pte::constant_values(program, *method);
}

Result<std::vector<int64_t>> ids_of(const pte::Program& program, std::string_view name,
                                    size_t most) {
  std::vector<int64_t> ids;
  for (const pte::ConstantValue& value : TRY(values_of(program, name))) {
    if (const auto* id = std::get_if<int64_t>(&value)) {
      ids.push_back(*id);
    } else if (const auto* tensor = std::get_if<pte::ConstantTensor>(&value)) {
      if (element_count(tensor->type.shape).value_or(most + 1) > most) {
        return invalid_data("constant method '{}': expected at most {} ids, found {}", name, most,
                            to_string(tensor->type));
      }
      const auto some =
          TRY(within(fmt::format("constant method '{}'", name), pte::to_ints(*tensor)));
      ids.insert(ids.end(), some.begin(), some.end());
    } else {
      return invalid_data("constant method '{}': expected token ids, found {}", name,
                          pte::to_string(value));
    }
  }
  if (ids.size() > most) {
    return invalid_data("constant method '{}': expected at most {} ids, found {}", name, most,
                        ids.size());
  }
  for (const int64_t id : ids) {
    if (id >= 0 && id <= INT32_MAX) continue;
    return invalid_data("constant method '{}': {} is no token id", name, id);
  }
  return ids;
}

Result<std::string> string_of(const pte::Program& program, std::string_view method) {
  const auto values = TRY(values_of(program, method));
  if (values.empty()) return std::string();
  const auto* name = std::get_if<std::string>(&values.front());
  if (values.size() == 1 && name != nullptr) return *name;
  return invalid_data("constant method '{}': expected a string, found {}", method,
                      pte::to_string(values.front()));
}

}  // namespace

Result<ModelCard> read_card(const pte::Program& program) {
  ModelCard card;
  card.name = TRY(string_of(program, kModelName));
  card.recipe = TRY(string_of(program, kRecipe));
  card.rotation = TRY(string_of(program, kRotation));
  const auto bos = TRY(ids_of(program, kBosId, 1));
  if (!bos.empty()) card.bos = bos.front();
  card.eos = TRY(ids_of(program, kEosIds, kMaxEosIds));
  card.tokenizer = pte::Blob::view(TRY(data_of(program, kTokenizer, text::kMaxTokenizerBytes)));
  const Json rules = TRY(object_of(program, kTokenizerConfig, text::kMaxTokenizerBytes));
  if (!rules.is_null()) {
    card.tokenizer_rules = TRY(
        within(fmt::format("named data {}", kTokenizerConfig), text::TokenizerRules::read(rules)));
  }
  card.chat_template = as_text(TRY(data_of(program, kChatTemplate, kMaxTextBytes)));
  if (const Json config = TRY(object_of(program, kGenerationConfig, kMaxTextBytes));
      !config.is_null()) {
    std::vector<std::string> problems;
    card.generation = read_generation_defaults(config, problems);
    if (!problems.empty()) {
      return within<ModelCard>(fmt::format("named data {}", kGenerationConfig),
                               invalid_data("{}", problems.front()));
    }
  }
  return card;
}

Result<std::unique_ptr<text::Tokenizer>> open_tokenizer(const ModelCard& card) {
  if (!card.has_tokenizer()) return not_found("the file carries no tokenizer");
  return within(fmt::format("named data {}", kTokenizer),
                text::read_tokenizer(card.tokenizer.bytes(), card.tokenizer_rules));
}

Status add_card(const ModelCard& card, pte::Program& program) {
  if (!is_valid_utf8(card.name)) return invalid_argument("the model's name is not UTF-8");
  const auto say = [&](std::string_view method, const std::string& text) -> Status {
    if (text.empty()) return {};
    return pte::set_constant_method(program, pte::constant_method(std::string(method), text));
  };
  TRY(say(kModelName, card.name));
  TRY(say(kRecipe, card.recipe));
  TRY(say(kRotation, card.rotation));
  if (card.bos) {
    TRY(pte::set_constant_method(program, pte::constant_method(std::string(kBosId), *card.bos)));
  }
  if (!card.eos.empty()) {
    TRY(pte::set_constant_method(
        program, TRY(pte::constant_ints_method(program, std::string(kEosIds), card.eos))));
  }
  if (card.has_tokenizer()) pte::set_named_data(program, kTokenizer, card.tokenizer);
  const auto embed = [&](std::string_view key, std::string_view text) {
    if (!text.empty()) pte::set_named_data(program, key, pte::Blob::own(text));
  };
  if (const Json rules = card.tokenizer_rules.to_json(); card.has_tokenizer() && !rules.empty()) {
    embed(kTokenizerConfig, dump_json(rules));
  }
  embed(kChatTemplate, card.chat_template);
  if (!card.generation.empty()) embed(kGenerationConfig, dump_json(to_json(card.generation)));
  return {};
}

}  // namespace diptych::card
