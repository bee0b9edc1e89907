#include "generate/speculation.h"

#include <algorithm>

#include "base/clock.h"

namespace diptych::generate {

Result<Speculation> Speculation::create(Drafter& drafter, const contract::Description& model,
                                        bool adapt) {
  const contract::Function* verify = model.verify();
  if (verify == nullptr || verify->method.tokens < 2) {
    return hinted(unsupported("drafts need logits of all positions, and no method gives them for "
                              "two tokens or more"),
                  Advice::AllLogits);
  }
  return Speculation(drafter, verify->method, adapt);
}

namespace {

std::vector<double> expected_acceptances(const Drafter& drafter) {
  std::vector<double> expected;
  for (size_t kind = 0; kind < drafter.kinds(); ++kind) {
    expected.push_back(drafter.expected_acceptance(kind));
  }
  return expected;
}

}  // namespace

Speculation::Speculation(Drafter& drafter, const contract::Method& verify, bool adapt)
    : drafter_(&drafter),
      capacity_(verify.tokens),
      adapt_(adapt),
      pace_(expected_acceptances(drafter)) {
  const auto size = static_cast<size_t>(capacity_);
  rows_.tokens.assign(size, 0);
  rows_.positions.assign(size, 0);
  rows_.visible.assign(size * size, 0);
  for (size_t row = 0; row < size; ++row) {
    std::fill_n(rows_.visible.begin() + static_cast<std::ptrdiff_t>(row * size), row + 1, 1);
  }
}

Status Speculation::begin(std::span<const int64_t> context) {
  context_.assign(context.begin(), context.end());
  trial_ = {};
  return drafter_->begin(context);
}

Result<bool> Speculation::step(Session& session, int64_t token, const Choose& choose) {
  const auto start = Clock::now();
  const size_t before = context_.size();
  context_.push_back(token);
  const Draft draft = TRY(propose(session));
  if (draft.tokens.empty()) {
    const Chosen chosen =
        TRY(choose(TRY(session.evaluate(std::span(&token, 1))), nullptr, nullptr));
    pace_.add_plain(seconds_since(start));
    return chosen.more;
  }
  const bool more = TRY(verify(session, token, draft, choose));
  pace_.add_step(seconds_since(start), static_cast<int64_t>(context_.size() - before));
  return more;
}

void Speculation::follow(const Session& session) {
  const auto tokens = session.tokens();
  context_.insert(context_.end(), tokens.begin() + static_cast<std::ptrdiff_t>(context_.size()),
                  tokens.end());
}

// A draft as long as is worth its time and fits the cache; none where that is nothing.
Result<Draft> Speculation::propose(const Session& session) {
  int64_t most = capacity_ - 1;
  while (most > 0 && !session.rows_fit(most + 1)) --most;
  if (!adapt_) return drafter_->propose(context_, most);
  const auto context = static_cast<int64_t>(context_.size());
  const auto seconds = [&](int64_t drafted) {
    return session.verifying_seconds(drafted + 1) + drafter_->seconds(context, drafted);
  };
  if (drafter_->is_free()) return propose_free(most, seconds);
  int64_t longest = 0;
  for (size_t kind = 0; kind < drafter_->kinds(); ++kind) {
    longest = std::max(longest, pace_.length(kind, most, seconds));
  }
  if (longest == 0) {
    pace_.forget();
    return Draft();
  }
  return drafter_->propose(context_, longest);
}

Result<Draft> Speculation::propose_free(int64_t most, const Pace::Seconds& seconds) {
  look_at_trial();
  Draft draft = TRY(drafter_->propose(context_, capacity_ - 1));
  const auto size = static_cast<int64_t>(draft.tokens.size());
  const int64_t kept = pace_.length(draft.kind, std::min(most, size), seconds);
  if (kept == 0) {
    drafter_->accept(0);
    if (trial_.tokens.empty()) {
      trial_ = std::move(draft);
      trial_at_ = context_.size();
    }
    return Draft();
  }
  draft.tokens.resize(static_cast<size_t>(kept));
  return draft;
}

// Compares the trial with what has come in its place.
void Speculation::look_at_trial() {
  const size_t size = trial_.tokens.size();
  const size_t come = std::min(size, context_.size() - std::min(trial_at_, context_.size()));
  size_t right = 0;
  while (right < come && trial_.tokens[right] == context_[trial_at_ + right]) ++right;
  if (size == 0 || (right == come && come < size)) return;
  pace_.add_draft(trial_.kind, static_cast<int64_t>(size), static_cast<int64_t>(right));
  trial_ = {};
}

Result<bool> Speculation::verify(Session& session, int64_t token, const Draft& draft,
                                 const Choose& choose) {
  const size_t drafted = draft.tokens.size();
  rows_.tokens[0] = token;
  std::copy(draft.tokens.begin(), draft.tokens.end(), rows_.tokens.begin() + 1);
  for (size_t row = 0; row < rows_.positions.size(); ++row) {
    rows_.positions[row] = session.position() + static_cast<int64_t>(row);
  }
  rows_.used = static_cast<int64_t>(drafted) + 1;
  const std::span<const float> logits = TRY(session.evaluate_rows(rows_));
  const auto vocab = static_cast<size_t>(session.model().vocab_size);
  session.keep_row(0, token);
  static const Distribution kCertain;
  Chosen chosen;
  size_t accepted = 0;
  for (;;) {
    const bool last = accepted == drafted;
    const auto row = logits.subspan(accepted * vocab, vocab);
    const Distribution& from = draft.from.empty() || last ? kCertain : draft.from[accepted];
    chosen = TRY(choose(row, last ? nullptr : &draft.tokens[accepted], &from));
    if (!chosen.accepted) break;
    const int64_t right = draft.tokens[accepted++];
    if (!chosen.more) break;  // as after any other token: the last is not evaluated
    session.keep_row(static_cast<int64_t>(accepted), right);
    context_.push_back(right);
  }
  drafter_->accept(accepted);
  counts_.drafted += drafted;
  counts_.accepted += accepted;
  pace_.add_draft(draft.kind, static_cast<int64_t>(drafted), static_cast<int64_t>(accepted));
  return chosen.more;
}

}  // namespace diptych::generate
