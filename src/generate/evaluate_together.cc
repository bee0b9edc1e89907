// Several conversations that evaluate a token each in one pass over the weights.
#include <algorithm>
#include <vector>

#include "generate/session.h"

namespace diptych::generate {

Status Session::evaluate_together(std::span<Session* const> sessions,
                                  std::span<const int64_t> tokens) {
  if (sessions.size() != tokens.size()) {
    return invalid_argument("{} tokens for {} sessions", tokens.size(), sessions.size());
  }
  for (size_t i = 0; i < sessions.size(); ++i) {
    if (sessions[i]->program_ != sessions.front()->program_) {
      return invalid_argument("sessions of several programs cannot be evaluated together");
    }
    if (std::find(sessions.begin(), sessions.begin() + static_cast<std::ptrdiff_t>(i),
                  sessions[i]) != sessions.begin() + static_cast<std::ptrdiff_t>(i)) {
      return invalid_argument("session {} is there twice", i);
    }
    TRY(sessions[i]->check_tokens(tokens.subspan(i, 1)));
  }
  // By the function that takes the token and what does not fit the cache: most take one row.
  struct Call {
    Session* session;
    Chunk chunk;
  };
  std::vector<std::vector<Call>> by_function(sessions.empty() ? 0
                                                              : sessions.front()->loaded_.size());
  for (size_t i = 0; i < sessions.size(); ++i) {
    Session& session = *sessions[i];
    TRY(session.catch_up());
    const int64_t rows = session.position() - session.cache_.tokens() + 1;
    Loaded& loaded = session.function_for(rows);
    const Chunk chunk = TRY(session.begin_chunk(loaded, tokens.subspan(i, 1), rows));
    TRY(session.prepare(loaded, chunk.rows, true));
    by_function[static_cast<size_t>(&loaded - session.loaded_.data())].push_back({&session, chunk});
  }
  for (const std::vector<Call>& calls : by_function) {
    if (calls.empty()) continue;
    const auto start = Clock::now();
    std::vector<runtime::Method*> methods;
    for (const Call& call : calls) methods.push_back(call.chunk.loaded->method.get());
    TRY(runtime::Method::execute_together(methods));
    const double seconds = seconds_since(start) / static_cast<double>(calls.size());
    for (const auto& [session, chunk] : calls) {
      const contract::Method& method = chunk.loaded->function->method;
      MethodStatistics& statistics = session->statistics_[method.name];
      ++statistics.calls;
      statistics.rows += static_cast<uint64_t>(chunk.rows);
      statistics.seconds += seconds;
      session->keep_chunk(chunk);
      session->logits_of(*chunk.loaded, method.all_logits ? chunk.rows - 1 : 0, 1);
    }
  }
  return {};
}

}  // namespace diptych::generate
