#include "cli/generation_statistics.h"

#include <fmt/format.h>

#include "base/json.h"
#include "cli/terminal.h"
#include "generate/call_groups.h"

namespace diptych::cli {

Json calls_json(const generate::Generation& generation, const generate::Session& session) {
  Json calls = Json::array();
  for (const generate::CallGroup& group :
       generate::grouped(generation.prompt_calls, session.model())) {
    calls.push_back({{"method", group.method}, {"tokens", group.tokens}, {"calls", group.count}});
  }
  return calls;
}

double decoded_tokens(const generate::Generation& generation) {
  return generation.tokens.empty() ? 0 : static_cast<double>(generation.tokens.size() - 1);
}

double tokens_per_step(const generate::Generation& generation) {
  return generation.decode_steps == 0
             ? 0
             : decoded_tokens(generation) / static_cast<double>(generation.decode_steps);
}

std::string drafts_text(const generate::Generation& generation) {
  const generate::SpeculationCounts& counts = generation.speculation;
  return fmt::format("{} of {} drafted tokens accepted, {:.1f} %, {:.2f} tokens a step",
                     counts.accepted, counts.drafted, 100 * counts.acceptance(),
                     tokens_per_step(generation));
}

void add_drafts(const generate::Generation& generation, Json& decode) {
  const generate::SpeculationCounts& counts = generation.speculation;
  decode["drafted_tokens"] = counts.drafted;
  decode["accepted_tokens"] = counts.accepted;
  decode["acceptance"] = counts.acceptance();
  decode["tokens_per_step"] = tokens_per_step(generation);
}

}  // namespace diptych::cli
