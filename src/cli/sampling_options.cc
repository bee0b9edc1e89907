#include "cli/sampling_options.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"

namespace diptych::cli {

namespace {

constexpr double kLargest = 1e6;
constexpr double kMostLogprobs = 1000;

// "ID=VALUE", where a value is a number or -inf.
Result<std::pair<int64_t, double>> parse_bias(const std::string& text) {
  std::pair<int64_t, double> bias;
  const char* const end = text.data() + text.size();
  const auto [after_id, id_error] = std::from_chars(text.data(), end, bias.first);
  if (id_error == std::errc() && after_id != end && *after_id == '=') {
    const auto [after_value, value_error] = std::from_chars(after_id + 1, end, bias.second);
    const bool known = std::isfinite(bias.second) || bias.second == -INFINITY;
    if (value_error == std::errc() && after_value == end && known) return bias;
  }
  return usage_error(fmt::format(
      "--logit-bias: expected ID=VALUE with a number or -inf for a value, found \"{}\"", text));
}

Json token_json(int64_t id, const text::Tokenizer* tokenizer) {
  Json json = {{"id", id}};
  if (tokenizer == nullptr) return json;
  const auto token = static_cast<text::TokenId>(id);
  const std::string_view piece = tokenizer->piece(token);
  json["text"] = piece.empty() ? tokenizer->special_name(token) : std::string(piece);
  return json;
}

}  // namespace

void add_sampling_options(Parser& parser, SamplingArguments& a) {
  constexpr const char* kGroup = "Sampling (defaults: the model's, else as shown)";
  parser
      .add_option("--temperature", a.choices.temperature, "0 is greedy; higher is more varied [0]")
      ->check(number_between(0, kLargest))
      ->group(kGroup);
  parser.add_option("--top_k", a.choices.top_k, "Keep the k likeliest tokens; 0 keeps all [0]")
      ->check(number_between(0, kMostTokens))
      ->group(kGroup);
  parser
      .add_option("--top_p", a.choices.top_p,
                  "Keep the likeliest tokens up to this probability [1]")
      ->check(number_between(0, 1))
      ->group(kGroup);
  parser
      .add_option("--min_p", a.choices.min_p,
                  "Keep tokens this probable, relative to the likeliest one [0]")
      ->check(number_between(0, 1))
      ->group(kGroup);
  parser
      .add_option("--repetition_penalty", a.choices.repetition_penalty,
                  "Divide (or multiply) logits of tokens that occurred [1]")
      ->check(number_between(1 / kLargest, kLargest))
      ->group(kGroup);
  parser
      .add_option("--presence_penalty", a.choices.presence_penalty,
                  "Subtract from logits of tokens that occurred [0]")
      ->check(number_between(-kLargest, kLargest))
      ->group(kGroup);
  parser
      .add_option("--frequency_penalty", a.choices.frequency_penalty,
                  "Subtract from logits for each time the token occurred [0]")
      ->check(number_between(-kLargest, kLargest))
      ->group(kGroup);
  parser
      .add_option("--repeat_last_n", a.choices.repeat_last_n,
                  "Penalties look at so many last tokens; -1: all [-1]")
      ->check(number_between(-1, kMostTokens))
      ->group(kGroup);
  parser
      .add_option("--logit_bias", a.logit_bias,
                  "ID=VALUE: add to a token's logit; -inf bans it; may be repeated")
      ->one_value_each()
      ->group(kGroup);
  parser.add_option("--seed", a.choices.seed, "Same seed, same text")
      ->show_default()
      ->group(kGroup);
  parser.add_option("--stop", a.stop, "End before this text; may be repeated")->one_value_each();
  parser
      .add_option("--json_schema", a.json_schema,
                  "File of a JSON schema that the answer validates against")
      ->group("Form of the answer");
  parser.add_option("--grammar", a.grammar, "File of a grammar (GBNF) that the answer keeps to")
      ->excludes("--json_schema")
      ->group("Form of the answer");
  parser.add_flag("--ignore_eos", a.ignore_eos, "Go on after an end-of-text token");
  auto* json = parser.add_flag("--json", a.json, "Print answers as JSON, one a line, with tokens");
  parser
      .add_option("--logprobs", a.logprobs,
                  "With --json: log probabilities, and those of the N likeliest tokens")
      ->check(number_between(0, kMostLogprobs))
      ->needs(json);
}

Result<answer::SamplingChoices> sampling_choices(const SamplingArguments& a) {
  answer::SamplingChoices choices = a.choices;
  for (const std::string& text : a.logit_bias) {
    const auto [token, bias] = TRY(parse_bias(text));
    choices.logit_bias[token] = bias;
  }
  return choices;
}

Result<text::StopTexts> stop_texts(const SamplingArguments& a) {
  return as_usage(within("--stop", text::StopTexts::create(a.stop)));
}

Result<std::shared_ptr<const grammar::Automaton>> answer_grammar(const SamplingArguments& a) {
  constexpr uint64_t kMostBytes = 4 << 20;
  if (!a.json_schema.empty()) {
    const std::string text = TRY(read_text_file(a.json_schema, kMostBytes));
    const Json schema = TRY(within(a.json_schema, parse_json(text)));
    return within(a.json_schema, grammar::json_schema(schema));
  }
  if (a.grammar.empty()) return nullptr;
  return within(a.grammar, grammar::parse_gbnf(TRY(read_text_file(a.grammar, kMostBytes))));
}

Json answer_json(const generate::Generation& generation, const std::string& text,
                 const text::Tokenizer* tokenizer) {
  Json tokens = Json::array();
  for (size_t i = 0; i < generation.tokens.size(); ++i) {
    Json token = token_json(generation.tokens[i], tokenizer);
    if (i < generation.logprobs.size()) {
      token["logprob"] = generation.logprobs[i].chosen;
      Json top = Json::array();
      for (const generate::TokenLogprob& entry : generation.logprobs[i].best) {
        top.push_back(token_json(entry.token, tokenizer));
        top.back()["logprob"] = entry.logprob;
      }
      token["top"] = std::move(top);
    }
    tokens.push_back(std::move(token));
  }
  Json json = Json::object();
  if (tokenizer != nullptr) json["text"] = text;
  json["tokens"] = std::move(tokens);
  json["stop_reason"] = generate::name(generation.reason);
  return json;
}

}  // namespace diptych::cli
