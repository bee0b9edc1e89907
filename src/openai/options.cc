#include "openai/options.h"

#include <fmt/format.h>

#include <charconv>
#include <random>

#include "answer/constraint.h"
#include "base/in_quotes.h"
#include "base/json.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "openai/error.h"

namespace diptych::openai {

namespace {

Result<text::StopTexts> read_stops(Parameters& parameters) {
  const Json* stop = parameters.find("stop");
  if (stop == nullptr) return text::StopTexts();
  const std::string name = parameters.name("stop");
  std::vector<std::string> texts;
  const auto take = [&](const std::string& param, const Json& text) -> Status {
    if (!text.is_string()) return unexpected_value(param, "a string", text);
    texts.push_back(text.get<std::string>());
    if (texts.back().size() > kMostStopBytes) {
      return wrong_parameter(param, "{} bytes, expected at most {}", texts.back().size(),
                             kMostStopBytes);
    }
    return {};
  };
  if (stop->is_array()) {
    if (stop->size() > kMostStops) {
      return wrong_parameter(name, "{} texts, expected at most {}", stop->size(), kMostStops);
    }
    for (const Json& text : *stop) TRY(take(element_name(name, texts.size()), text));
  } else {
    TRY(take(name, *stop));
  }
  return about_parameter(name, text::StopTexts::create(std::move(texts)));
}

Result<std::map<int64_t, double>> read_biases(Parameters& parameters) {
  std::map<int64_t, double> biases;
  const Json* object = parameters.find("logit_bias");
  if (object == nullptr) return biases;
  const std::string name = parameters.name("logit_bias");
  if (!object->is_object()) return unexpected_value(name, "an object", *object);
  if (object->size() > kMostBiases) {
    return wrong_parameter(name, "{} biases, expected at most {}", object->size(), kMostBiases);
  }
  for (const auto& [key, value] : object->items()) {
    int64_t id = 0;
    const char* const end = key.data() + key.size();
    const auto [after, error] = std::from_chars(key.data(), end, id);
    if (error != std::errc() || after != end) {
      return wrong_parameter(name, "expected ids of tokens as keys, found {}", in_quotes(key));
    }
    constexpr double kMost = 100;
    if (!value.is_number() || !(std::abs(value.get<double>()) <= kMost)) {
      return unexpected_value(name, "numbers from -100 to 100", value);
    }
    biases[id] = value.get<double>();
  }
  return biases;
}

// What answers have to be: of response_format, or of "grammar" in GBNF.
Result<std::shared_ptr<const grammar::Automaton>> read_grammar(Parameters& parameters) {
  const auto gbnf = TRY(parameters.string("grammar"));
  const Json* found = parameters.find("response_format");
  if (found == nullptr) {
    if (!gbnf) return nullptr;
    return about_parameter("grammar", grammar::parse_gbnf(*gbnf));
  }
  const std::string name = parameters.name("response_format");
  if (gbnf) return wrong_parameter("grammar", "not beside response_format");
  Parameters format = TRY(Parameters::of(*found, name + "."));
  const Json& type = *TRY(format.need("type"));
  std::shared_ptr<const grammar::Automaton> automaton;
  if (type == "json_schema") {
    const Json& wrapped = *TRY(format.need("json_schema"));
    Parameters schema = TRY(Parameters::of(wrapped, name + ".json_schema."));
    schema.ignore({"name", "description", "strict"});
    automaton = TRY(
        about_parameter(schema.name("schema"), grammar::json_schema(*TRY(schema.need("schema")))));
    TRY(schema.finish());
  } else if (type == "json_object") {
    automaton = TRY(grammar::json_object());
  } else if (type != "text") {
    return unexpected_value(format.name("type"), "\"text\", \"json_object\" or \"json_schema\"",
                            type);
  }
  TRY(format.finish());
  return automaton;
}

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

Result<Options> read_options(Parameters& parameters, const serve::ServedModel& model) {
  Options options;
  answer::SamplingChoices& sampling = options.sampling;
  sampling.temperature = TRY(parameters.number("temperature", 0, 2));
  sampling.top_p = TRY(parameters.number("top_p", 0, 1));
  sampling.presence_penalty = TRY(parameters.number("presence_penalty", -2, 2));
  sampling.frequency_penalty = TRY(parameters.number("frequency_penalty", -2, 2));
  sampling.top_k = TRY(parameters.integer("top_k", 0, INT32_MAX));
  sampling.min_p = TRY(parameters.number("min_p", 0, 1));
  sampling.repetition_penalty = TRY(parameters.number("repetition_penalty", 0.01, 100));
  const auto seed = TRY(parameters.integer("seed", INT64_MIN, INT64_MAX));
  sampling.seed = seed ? static_cast<uint64_t>(*seed) : random_seed();
  sampling.logit_bias = TRY(read_biases(parameters));
  options.stops = TRY(read_stops(parameters));
  options.grammar = TRY(read_grammar(parameters));
  options.choices = TRY(parameters.integer("n", 1, kMostChoices)).value_or(1);
  options.ignore_eos = TRY(parameters.boolean("ignore_eos")).value_or(false);
  options.stream = TRY(parameters.boolean("stream")).value_or(false);
  if (const Json* found = parameters.find("stream_options")) {
    const std::string name = parameters.name("stream_options");
    if (!options.stream) return wrong_parameter(name, "only with stream");
    Parameters stream = TRY(Parameters::of(*found, name + "."));
    options.include_usage = TRY(stream.boolean("include_usage")).value_or(false);
    stream.ignore({"include_obfuscation"});
    TRY(stream.finish());
  }
  // Of who asks and for which purpose.
  parameters.ignore(
      {"user", "metadata", "safety_identifier", "prompt_cache_key", "store", "service_tier"});
  TRY(about_parameter("logit_bias",
                      generate::check(answer::sampler_options(sampling, model.opened().sampling()),
                                      model.opened().vocab_size())));
  return options;
}

std::vector<serve::Job> jobs_of(const Options& options, const serve::ServedModel& model,
                                const std::vector<int64_t>& prompt, int64_t max_tokens,
                                std::optional<int64_t> logprobs) {
  std::vector<serve::Job> jobs;
  for (int64_t choice = 0; choice < options.choices; ++choice) {
    serve::Job& job = jobs.emplace_back();
    job.prompt = prompt;
    job.max_tokens = max_tokens;
    job.sampler = answer::sampler_options(options.sampling, model.opened().sampling());
    job.sampler.seed += static_cast<uint64_t>(choice);
    if (!options.ignore_eos) job.stop_tokens = model.opened().stop_ids();
    job.stops = options.stops;
    job.logprobs = logprobs;
    if (options.grammar) {
      job.filter =
          answer::constrain(model.opened(), options.grammar, model.token_trie(), job.stop_tokens);
    }
  }
  return jobs;
}

Status check_prompt(const std::vector<int64_t>& prompt, const serve::ServedModel& model,
                    std::string_view param) {
  if (prompt.empty()) return wrong_parameter(std::string(param), "no tokens to answer");
  const int64_t context = model.opened().max_context();
  if (std::ssize(prompt) > context) {
    return hinted(wrong_parameter(std::string(param), "{} tokens, more than the context's {}",
                                  prompt.size(), context),
                  Advice::LongerContext);
  }
  for (const int64_t id : prompt) {
    if (id >= 0 && id < model.opened().vocab_size()) continue;
    return wrong_parameter(std::string(param),
                           "token {} is outside the vocabulary, expected 0 to {}", id,
                           model.opened().vocab_size() - 1);
  }
  return {};
}

}  // namespace diptych::openai
