// Generations with drafts beside the same without, in turns: what drafts are worth.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "generate/drafter.h"
#include "generate/generator.h"
#include "generate/session.h"

namespace diptych::measure {

// How a model drafts, and the text that it goes on from; random tokens where there is none.
struct Drafting {
  generate::GenerateOptions options;  // greedy, with a drafter or lookahead
  std::unique_ptr<generate::Drafter> drafter;
  std::vector<int64_t> text;
};
// Makes it for the model at a path.
using MakeDrafting = std::function<Result<Drafting>(
    const std::string& path, const contract::Description& model, int threads)>;

// The sum of some generations.
struct Drafts {
  uint64_t tokens = 0, steps = 0;  // after the first token of each
  generate::SpeculationCounts counts;
  std::vector<double> plain;  // tokens per second without drafts, in turns with those with them

  double tokens_per_step() const {
    return steps == 0 ? 0 : static_cast<double>(tokens) / static_cast<double>(steps);
  }
};

// Generates `tokens` tokens after the session's first `depth` and `last`, with drafts and without,
// the latter first when `plain_first`. Returns tokens per second with drafts and adds the rest to
// `drafts`. Errors: Internal where the tokens differ.
Result<double> run_drafted(generate::Session& session, int64_t depth, int64_t last, int64_t tokens,
                           const generate::GenerateOptions& options, bool plain_first,
                           Drafts& drafts);

}  // namespace diptych::measure
