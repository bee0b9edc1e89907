#include "cli/generation_statistics.h"

#include <fmt/format.h>

#include "base/json.h"
#include "cli/terminal.h"

namespace diptych::cli {

namespace {

// Calls that are the same, one after another.
struct Calls {
  std::string_view method;
  int64_t tokens = 0, count = 0;
};

std::vector<Calls> grouped(const generate::Generation& generation,
                           const generate::Session& session) {
  std::vector<Calls> groups;
  for (const generate::PlannedCall& call : generation.prompt_calls) {
    const std::string_view method = session.model().functions[call.function].method.name;
    if (groups.empty() || groups.back().method != method || groups.back().tokens != call.rows) {
      groups.push_back({method, call.rows, 0});
    }
    ++groups.back().count;
  }
  return groups;
}

}  // namespace

std::string calls_text(const generate::Generation& generation, const generate::Session& session) {
  std::string text;
  for (const Calls& group : grouped(generation, session)) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", group.method, group.tokens);
    if (group.count > 1) text += fmt::format(" x {}", group.count);
  }
  return text;
}

Json calls_json(const generate::Generation& generation, const generate::Session& session) {
  Json calls = Json::array();
  for (const Calls& group : grouped(generation, session)) {
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
