#include "openai/completions.h"

#include <algorithm>

#include "base/json.h"
#include "openai/error.h"
#include "openai/options.h"
#include "openai/wire.h"

namespace diptych::openai {

namespace {

constexpr size_t kMostPrompts = 256;
constexpr size_t kMostAnswers = 256;    // of all prompts
constexpr int64_t kDefaultTokens = 16;  // OpenAI's

Result<std::vector<int64_t>> ids_of(const std::string& param, const Json& list) {
  std::vector<int64_t> ids;
  for (const Json& id : list) {
    if (!id.is_number_integer()) {
      return unexpected_value(element_name(param, ids.size()), "a token's id", id);
    }
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

Result<std::vector<int64_t>> read_prompt(const std::string& param, const Json& prompt,
                                         const serve::ServedModel& model) {
  std::vector<int64_t> ids;
  if (prompt.is_string()) {
    ids = TRY(about_parameter(
        param, model.opened().encode(prompt.get<std::string>(), true, text::Specials::AsText)));
  } else if (prompt.is_array()) {
    ids = TRY(ids_of(param, prompt));
  } else {
    return unexpected_value(param, "a text or a list of tokens' ids", prompt);
  }
  TRY(check_prompt(ids, model, param));
  return ids;
}

Result<std::vector<std::vector<int64_t>>> read_prompts(const Json& prompt,
                                                       const serve::ServedModel& model) {
  std::vector<std::vector<int64_t>> prompts;
  const bool one = !prompt.is_array() || prompt.empty() || prompt.front().is_number();
  if (one) {
    prompts.push_back(TRY(read_prompt("prompt", prompt, model)));
    return prompts;
  }
  if (prompt.size() > kMostPrompts) {
    return wrong_parameter("prompt", "{} prompts, expected at most {}", prompt.size(),
                           kMostPrompts);
  }
  for (const Json& each : prompt) {
    prompts.push_back(TRY(read_prompt(element_name("prompt", prompts.size()), each, model)));
  }
  return prompts;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<uint8_t>(byte) & 0xC0) != 0x80;
  }));
}

// The choices of a response, each with what has come of it.
class CompletionWriter : public ReplyWriter {
 public:
  CompletionWriter(ResponseHead head, const text::Tokenizer& tokenizer, const Options& options,
                   size_t prompts, bool logprobs)
      : head_(std::move(head)),
        tokenizer_(tokenizer),
        stream_(options.stream),
        usage_(options.include_usage),
        prompts_(prompts),
        has_logprobs_(logprobs),
        choices_(prompts * static_cast<size_t>(options.choices)) {}

  std::string add(const serve::Part& part) override {
    Choice& choice = choices_[part.answer];
    choice.text += part.text;
    if (has_logprobs_ && part.token) add_logprob(choice, part);
    choice.offset += characters(part.text);
    if (!stream_ || (part.text.empty() && !has_logprobs_)) return {};
    return event(chunk(part.answer, Json()));
  }

  std::string end(const std::vector<serve::Outcome>& outcomes) override {
    if (!stream_) {
      Json choices = Json::array();
      for (size_t i = 0; i < choices_.size(); ++i) {
        choices.push_back(take(i, finish_reason(outcomes[i])));
      }
      Json body = response(std::move(choices));
      body["usage"] = usage_json(outcomes, prompts_);
      return dump_json(body);
    }
    std::string events;
    for (size_t i = 0; i < choices_.size(); ++i) {
      events += event(chunk(i, finish_reason(outcomes[i])));
    }
    if (usage_) {
      Json last = response(Json::array());
      last["usage"] = usage_json(outcomes, prompts_);
      events += event(last);
    }
    return events + std::string(kLastEvent);
  }

 private:
  struct Choice {
    std::string text;
    size_t offset = 0;  // characters so far
    Json tokens = Json::array(), token_logprobs = Json::array(), top_logprobs = Json::array(),
         text_offset = Json::array();
  };

  void add_logprob(Choice& choice, const serve::Part& part) {
    choice.tokens.push_back(token_text(tokenizer_, *part.token));
    choice.text_offset.push_back(choice.offset);
    if (!part.logprobs) {  // the first token of a prompt follows nothing
      choice.token_logprobs.push_back(nullptr);
      choice.top_logprobs.push_back(nullptr);
      return;
    }
    choice.token_logprobs.push_back(part.logprobs->chosen);
    Json top = Json::object();
    for (const auto& [id, logprob] : part.logprobs->best) {
      top[token_text(tokenizer_, id)] = logprob;
    }
    choice.top_logprobs.push_back(std::move(top));
  }

  // What has come of a choice since the last time.
  Json take(size_t index, const Json& reason) {
    Choice& choice = choices_[index];
    Json json = {{"index", index}, {"text", std::move(choice.text)}};
    json["logprobs"] = has_logprobs_ ? Json{{"tokens", std::move(choice.tokens)},
                                            {"token_logprobs", std::move(choice.token_logprobs)},
                                            {"top_logprobs", std::move(choice.top_logprobs)},
                                            {"text_offset", std::move(choice.text_offset)}}
                                     : Json();
    json["finish_reason"] = reason;
    const size_t offset = choice.offset;
    choice = {};
    choice.offset = offset;
    return json;
  }
  Json chunk(size_t index, const Json& reason) {
    Json choices = Json::array();
    choices.push_back(take(index, reason));
    return response(std::move(choices));
  }
  Json response(Json choices) const {
    return {{"id", head_.id},
            {"object", "text_completion"},
            {"created", head_.created},
            {"model", head_.model},
            {"choices", std::move(choices)}};
  }

  ResponseHead head_;
  const text::Tokenizer& tokenizer_;
  bool stream_, usage_;
  size_t prompts_;
  bool has_logprobs_;
  std::vector<Choice> choices_;
};

}  // namespace

Result<Exchange> read_completion(const Json& request, const serve::ServedModel& model) {
  Parameters parameters = TRY(Parameters::of(request, ""));
  parameters.find("model");
  const Options options = TRY(read_options(parameters, model));
  const bool echo = TRY(parameters.boolean("echo")).value_or(false);
  const auto logprobs = TRY(parameters.integer("logprobs", 0, kMostLogprobs));
  const int64_t most = TRY(parameters.integer("max_tokens", 0, INT32_MAX)).value_or(kDefaultTokens);
  if (const auto best_of = TRY(parameters.integer("best_of", 1, kMostChoices));
      best_of && *best_of != options.choices) {
    return wrong_parameter("best_of", "is {}, expected as many as n, {}", *best_of,
                           options.choices);
  }
  const Json* prompt = TRY(parameters.need("prompt"));
  TRY(parameters.finish());

  Exchange exchange;
  exchange.stream = options.stream;
  const auto prompts = TRY(read_prompts(*prompt, model));
  if (prompts.size() * static_cast<size_t>(options.choices) > kMostAnswers) {
    return wrong_parameter("n", "{} answers to {} prompts are more than {}", options.choices,
                           prompts.size(), kMostAnswers);
  }
  for (const std::vector<int64_t>& each : prompts) {
    for (serve::Job& job : jobs_of(options, model, each, most, logprobs)) {
      job.echo = echo;
      exchange.jobs.push_back(std::move(job));
    }
  }
  exchange.writer = std::make_unique<CompletionWriter>(ResponseHead{new_id("cmpl-"), model.id()},
                                                       *model.opened().tokenizer(), options,
                                                       prompts.size(), logprobs.has_value());
  return exchange;
}

}  // namespace diptych::openai
