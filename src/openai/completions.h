// POST /v1/completions: prompts to be continued, with `echo` and `logprobs` as lm-eval's
// local-completions needs them.
#pragma once

#include "base/error.h"
#include "base/json_fwd.h"
#include "openai/exchange.h"
#include "serve/served_model.h"

namespace diptych::openai {

// Prompts are a text, a list of texts, of ids, or of lists of ids. A text is encoded as `diptych
// run` does it: after BOS, names of special tokens being text.
Result<Exchange> read_completion(const Json& request, const serve::ServedModel& model);

}  // namespace diptych::openai
