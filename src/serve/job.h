// What a client wants generated, in the engine's terms: tokens, not texts or messages.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "generate/sampler.h"
#include "generate/token_filter.h"
#include "text/stop_texts.h"

namespace diptych::serve {

struct Job {
  std::vector<int64_t> prompt;       // not empty, and it fits the context
  int64_t max_tokens = 0;            // of the answer; 0: only the prompt is evaluated
  generate::SamplerOptions sampler;  // has passed generate::check()
  std::set<int64_t> stop_tokens;     // the answer ends after one of these
  text::StopTexts stops;             // and before one of these
  std::optional<int64_t> logprobs;   // of each token, and of so many likeliest ones
  bool echo = false;  // the prompt's tokens are given out as well, with logprobs if asked for
  std::unique_ptr<generate::TokenFilter> filter;  // null: every token may come
};

}  // namespace diptych::serve
