// The options of `run` and `chat` that say how tokens are chosen and where an answer ends.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "answer/sampling.h"
#include "base/error.h"
#include "base/json_fwd.h"
#include "cli/parser.h"
#include "generate/generator.h"
#include "grammar/automaton.h"
#include "text/stop_texts.h"
#include "text/tokenizer.h"

namespace diptych::cli {

// As given on the command line; what is not given is the model's default, else the sampler's.
struct SamplingArguments {
  answer::SamplingChoices choices;  // but for the biases, which are in logit_bias
  std::optional<int64_t> logprobs;
  std::vector<std::string> logit_bias, stop;
  std::string json_schema, grammar;  // files
  bool ignore_eos = false, json = false;
};

// `arguments` must outlive the parser.
void add_sampling_options(Parser& parser, SamplingArguments& arguments);

// The choices, biases among them. Wrong syntax is an error of usage.
Result<answer::SamplingChoices> sampling_choices(const SamplingArguments& arguments);
Result<text::StopTexts> stop_texts(const SamplingArguments& arguments);

// What answers keep to: of the file of --json-schema or --grammar; null where neither is given.
Result<std::shared_ptr<const grammar::Automaton>> answer_grammar(
    const SamplingArguments& arguments);

inline constexpr double kMostTokens = 1e9;

// An answer for --json: "text" and each token's "text" where there is a tokenizer, "logprob" and
// "top" where they were asked for.
Json answer_json(const generate::Generation& generation, const std::string& text,
                 const text::Tokenizer* tokenizer);

}  // namespace diptych::cli
