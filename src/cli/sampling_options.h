// The options of `run` and `chat` that say how tokens are chosen and where an answer ends.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "card/generation_defaults.h"
#include "cli/parser.h"
#include "generate/generator.h"
#include "text/stop_texts.h"
#include "text/tokenizer.h"

namespace diptych::cli {

// As given on the command line; what is not given is the model's default, else the sampler's.
struct SamplingArguments {
  std::optional<double> temperature, top_p, min_p;
  std::optional<double> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k, repeat_last_n, logprobs;
  uint64_t seed = 0;
  std::vector<std::string> logit_bias, stop;
  bool ignore_eos = false, json = false;
};

// `arguments` must outlive the parser.
void add_sampling_options(Parser& parser, SamplingArguments& arguments);

// What a model's makers want, as Hugging Face's generate() understands it: without do_sample it is
// greedy.
generate::SamplerOptions sampler_defaults(const card::GenerationDefaults& defaults);

// The options that were given in place of the `defaults`. Wrong syntax is an error of usage.
Result<generate::SamplerOptions> sampler_options(const SamplingArguments& arguments,
                                                 generate::SamplerOptions defaults);
Result<text::StopTexts> stop_texts(const SamplingArguments& arguments);

inline constexpr double kMostTokens = 1e9;

// An answer for --json: "text" and each token's "text" where there is a tokenizer, "logprob" and
// "top" where they were asked for.
Json answer_json(const generate::Generation& generation, const std::string& text,
                 const text::Tokenizer* tokenizer);

}  // namespace diptych::cli
