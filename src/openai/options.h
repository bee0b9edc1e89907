// What the endpoints that generate have in common: how tokens are chosen, where answers end, how
// they are told.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "answer/sampling.h"
#include "base/error.h"
#include "grammar/automaton.h"
#include "openai/parameters.h"
#include "serve/job.h"
#include "serve/served_model.h"

namespace diptych::openai {

inline constexpr int64_t kMostChoices = 128;  // n
inline constexpr int64_t kMostLogprobs = 20;
inline constexpr size_t kMostStops = 16;
inline constexpr size_t kMostStopBytes = 4096;
inline constexpr size_t kMostBiases = 4096;

struct Options {
  answer::SamplingChoices sampling;
  text::StopTexts stops;
  int64_t choices = 1;  // n
  bool ignore_eos = false;
  bool stream = false, include_usage = false;
  std::shared_ptr<const grammar::Automaton> grammar;  // that answers keep to; null: any text
};

// Reads and checks temperature, top_p, seed, stop, n, penalties, logit_bias, stream,
// stream_options, response_format, and as others have them top_k, min_p, repetition_penalty,
// ignore_eos and grammar. Without a seed each answer gets one of its own.
Result<Options> read_options(Parameters& parameters, const serve::ServedModel& model);

// A job for each choice: seeds count up. `prompt` fits the context (check_prompt()).
std::vector<serve::Job> jobs_of(const Options& options, const serve::ServedModel& model,
                                const std::vector<int64_t>& prompt, int64_t max_tokens,
                                std::optional<int64_t> logprobs);

// Fails when the prompt is empty, or too long to leave room for a token of the answer.
Status check_prompt(const std::vector<int64_t>& prompt, const serve::ServedModel& model,
                    std::string_view param);

}  // namespace diptych::openai
