#include "answer/sampling.h"

namespace diptych::answer {

generate::SamplerOptions sampling_defaults(const card::GenerationDefaults& defaults) {
  constexpr int64_t kTopK = 50;  // generate()'s, when the configuration is silent
  const bool samples = defaults.do_sample.value_or(false);
  generate::SamplerOptions options;
  if (samples) options.temperature = defaults.temperature.value_or(1);
  options.top_k = defaults.top_k.value_or(samples ? kTopK : options.top_k);
  options.top_p = defaults.top_p.value_or(options.top_p);
  options.min_p = defaults.min_p.value_or(options.min_p);
  options.repetition_penalty = defaults.repetition_penalty.value_or(options.repetition_penalty);
  return options;
}

generate::SamplerOptions sampler_options(const SamplingChoices& choices,
                                         generate::SamplerOptions defaults) {
  generate::SamplerOptions options = std::move(defaults);
  options.temperature = choices.temperature.value_or(options.temperature);
  options.top_k = choices.top_k.value_or(options.top_k);
  options.top_p = choices.top_p.value_or(options.top_p);
  options.min_p = choices.min_p.value_or(options.min_p);
  options.repetition_penalty = choices.repetition_penalty.value_or(options.repetition_penalty);
  options.presence_penalty = choices.presence_penalty.value_or(options.presence_penalty);
  options.frequency_penalty = choices.frequency_penalty.value_or(options.frequency_penalty);
  options.repeat_last_n = choices.repeat_last_n.value_or(options.repeat_last_n);
  options.seed = choices.seed;
  for (const auto& [token, bias] : choices.logit_bias) options.logit_bias[token] = bias;
  return options;
}

}  // namespace diptych::answer
