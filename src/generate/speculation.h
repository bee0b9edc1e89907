// Speculative decoding: drafted tokens are evaluated together, by a function that gives the logits
// after each, and kept as far as they are what the model chooses itself.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "generate/drafter.h"
#include "generate/pace.h"
#include "generate/session.h"

namespace diptych::generate {

// Of all steps so far.
struct SpeculationCounts {
  uint64_t drafted = 0, accepted = 0;  // tokens

  SpeculationCounts& operator+=(const SpeculationCounts& more) {
    drafted += more.drafted;
    accepted += more.accepted;
    return *this;
  }
  double acceptance() const {
    return drafted == 0 ? 0 : static_cast<double>(accepted) / static_cast<double>(drafted);
  }
};

class Speculation {
 public:
  // `drafter` must outlive it. Without `adapt` drafts are as long as they can be. Errors: no
  // function of the model gives the logits after each of several tokens.
  static Result<Speculation> create(Drafter& drafter, const contract::Description& model,
                                    bool adapt);

  // Generation begins after these tokens.
  Status begin(std::span<const int64_t> context);

  // Chooses the token that logits are for. `draft` is what a draft has there, and `from` what that
  // was drawn from; null without one.
  struct Chosen {
    bool accepted = false;  // the token is the draft
    bool more = true;       // generation goes on
  };
  using Choose = std::function<Result<Chosen>(std::span<const float> logits, const int64_t* draft,
                                              const Distribution* from)>;

  // Takes one step from `token`, which is not evaluated yet: chooses the next token and as many
  // more as a draft is right about. The session then holds `token` and all of them but the last.
  // Returns whether generation goes on.
  Result<bool> step(Session& session, int64_t token, const Choose& choose);

  // The session has gone on without a step.
  void follow(const Session& session);

  const SpeculationCounts& counts() const { return counts_; }
  // What steps with drafts and without are worth; steps that are taken in another way count too.
  Pace& pace() { return pace_; }

 private:
  Speculation(Drafter& drafter, const contract::Method& verify, bool adapt);
  Result<Draft> propose(const Session& session);
  Result<Draft> propose_free(int64_t most, const Pace::Seconds& seconds);
  void look_at_trial();
  Result<bool> verify(Session& session, int64_t token, const Draft& draft, const Choose& choose);

  Drafter* drafter_;
  int64_t capacity_;
  bool adapt_;
  Pace pace_;
  std::vector<int64_t> context_;  // what the session holds, and during a step its first token
  // A draft that was not verified, and where its first token would be: what comes tells how good it
  // would have been. Without tokens there is none.
  Draft trial_;
  size_t trial_at_ = 0;
  Session::Rows rows_;  // each row sees those before it
  SpeculationCounts counts_;
};

}  // namespace diptych::generate
