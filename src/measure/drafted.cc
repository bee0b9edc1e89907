#include "measure/drafted.h"

#include <algorithm>

namespace diptych::measure {

namespace {

double speed(const generate::Generation& generation) {
  return static_cast<double>(generation.tokens.size() - 1) / generation.decode_seconds;
}

}  // namespace

Result<double> run_drafted(generate::Session& session, int64_t depth, int64_t last, int64_t tokens,
                           const generate::GenerateOptions& options, bool plain_first,
                           Drafts& drafts) {
  generate::GenerateOptions plain;
  plain.max_tokens = tokens;
  generate::GenerateOptions drafted = options;
  drafted.max_tokens = tokens;
  const auto run = [&](const generate::GenerateOptions& how) {
    session.rewind(depth);
    return generate::generate(session, std::span(&last, 1), how,
                              [](const generate::Token&) { return true; });
  };
  generate::Generation first = TRY(run(plain_first ? plain : drafted));
  generate::Generation second = TRY(run(plain_first ? drafted : plain));
  if (plain_first) std::swap(first, second);
  if (first.tokens != second.tokens) {
    return fail(ErrorCode::Internal, "drafts have changed the tokens");
  }
  drafts.tokens += first.tokens.size() - 1;
  drafts.steps += first.decode_steps;
  drafts.counts += first.speculation;
  drafts.plain.push_back(speed(second));
  return speed(first);
}

}  // namespace diptych::measure
