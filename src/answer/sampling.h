// How the tokens of an answer are chosen: what the model's makers want, and what who asks wants in
// its place.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "card/generation_defaults.h"
#include "generate/sampler.h"

namespace diptych::answer {

// What is not said is the model's default. The members are those of generate::SamplerOptions.
struct SamplingChoices {
  std::optional<double> temperature, top_p, min_p;
  std::optional<double> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k, repeat_last_n;
  uint64_t seed = 0;
  std::map<int64_t, double> logit_bias;
};

// What a model's makers want, as Hugging Face's generate() understands it: without do_sample it is
// greedy.
generate::SamplerOptions sampling_defaults(const card::GenerationDefaults& defaults);

// The `defaults` with the choices in their place.
generate::SamplerOptions sampler_options(const SamplingChoices& choices,
                                         generate::SamplerOptions defaults);

}  // namespace diptych::answer
