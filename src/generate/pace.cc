#include "generate/pace.h"

#include <algorithm>

namespace diptych::generate {

namespace {

// A new measurement counts so much beside the earlier ones.
constexpr double kNewStep = 0.2;
constexpr double kKeepTried = 0.9, kKeepUntried = 0.97;
// Before anything is tried: half of the tokens are accepted, which counts as two tokens.
constexpr double kFirstTried = 2, kFirstAccepted = 1;
// Steps that learn what decoding takes, first and every so often.
constexpr int64_t kFirstPlainSteps = 2, kStepsBetweenPlain = 40;
// Of the time that decoding takes, what speculation may lose; of it, the most that is saved up, in
// steps, and what there is at first.
constexpr double kMayLose = 0.015, kMostCredit = 3, kFirstCredit = 1;

}  // namespace

bool Pace::knows_decoding() const {
  return plain_steps_ >= kFirstPlainSteps && since_plain_ < kStepsBetweenPlain;
}

int64_t Pace::length(size_t kind, int64_t most, const Seconds& seconds) {
  if (!knows_decoding() || most < 1) return 0;
  Kind& row = kinds_[kind];
  const double rate = (row.accepted + kFirstAccepted) / (row.tried + kFirstTried);
  int64_t best = 0;
  double best_speed = 1 / plain_, tokens = 1, chance = 1;
  for (int64_t drafted = 1; drafted <= most; ++drafted) {
    chance *= rate;
    tokens += chance;  // of the drafted ones and the one that follows them
    const double took = seconds(drafted);
    if (took - plain_ > credit_) break;
    if (tokens / took <= best_speed) continue;
    best_speed = tokens / took;
    best = drafted;
  }
  if (best == 0) {
    row.tried *= kKeepUntried;
    row.accepted *= kKeepUntried;
  }
  return best;
}

bool Pace::worth(double tokens, double seconds) const {
  return knows_decoding() && tokens * plain_ > seconds && seconds - plain_ <= credit_;
}

void Pace::add_plain(double seconds) {
  if (plain_steps_ == 0) {
    plain_ = seconds;
    credit_ = kFirstCredit * seconds;
  } else {
    plain_ += kNewStep * (std::min(seconds, 3 * plain_) - plain_);
  }
  ++plain_steps_;
  since_plain_ = 0;
  credit_ = std::min(credit_ + kMayLose * plain_, kMostCredit * plain_);
}

void Pace::add_step(double seconds, int64_t tokens) {
  ++since_plain_;
  const double gained = static_cast<double>(tokens) * plain_ * (1 + kMayLose) - seconds;
  credit_ = std::min(credit_ + gained, kMostCredit * plain_);
}

void Pace::add_draft(size_t kind, int64_t drafted, int64_t accepted) {
  Kind& row = kinds_[kind];
  row.tried =
      kKeepTried * row.tried +
      static_cast<double>(std::min(drafted, accepted + 1));  // those after were not looked at
  row.accepted = kKeepTried * row.accepted + static_cast<double>(accepted);
}

}  // namespace diptych::generate
