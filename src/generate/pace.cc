#include "generate/pace.h"

#include <algorithm>

namespace diptych::generate {

namespace {

constexpr double kKeepTried = 0.9, kKeepUntried = 0.97;
// Tokens a second must be expected to be so many times as many: what is expected is not certain.
constexpr double kWorthwhile = 1.1;
// What is expected beforehand counts as so many tokens that were tried.
constexpr double kTrustInExpected = 3;
// Steps without a draft that are remembered. Times scatter, and what decoding takes must not be
// overrated, or drafts that lose time would seem to gain some: of these steps, in order, the one at
// this part of them counts.
constexpr size_t kRemembered = 9;
constexpr double kQuantile = 0.35;
// Steps that learn what decoding takes: at first, and again after so many steps with drafts and so
// many more for each step of credit.
constexpr size_t kFirstPlainSteps = 2;
constexpr double kStepsBetweenPlain = 10, kMoreBetweenPlain = 2;
// Of the time that decoding takes, what speculation may lose: this part of each step, and so many
// steps at first. Of what it gains it may lose so many steps again.
constexpr double kMayLose = 0.01, kFirstCredit = 0.75, kMostCredit = 20;
// So many steps below nothing at most, on drafts of which enough were right.
constexpr double kMostDebt = 1;

}  // namespace

Pace::Pace(const std::vector<double>& expected) {
  for (const double acceptance : expected) kinds_.push_back({acceptance});
}

bool Pace::knows_decoding() const {
  return recent_.size() >= kFirstPlainSteps &&
         static_cast<double>(since_plain_) * plain_ <
             kStepsBetweenPlain * plain_ + kMoreBetweenPlain * std::max(credit_, 0.0);
}

// A step that loses so much where nothing is accepted.
bool Pace::affords(double loss) const { return loss <= credit_ + kMostDebt * plain_; }

int64_t Pace::length(size_t kind, int64_t most, const Seconds& seconds) const {
  if (!knows_decoding() || most < 1) return 0;
  const Kind& row = kinds_[kind];
  const double known = row.tried + kTrustInExpected;
  const double rate = (row.accepted + kTrustInExpected * row.expected) / known;
  const double least_rate = row.accepted / known;  // as though what was expected had failed
  int64_t best = 0;
  double best_speed = kWorthwhile / plain_;
  double tokens = 1, chance = 1, least_tokens = 1, least_chance = 1;
  for (int64_t drafted = 1; drafted <= most; ++drafted) {
    tokens += chance *= rate;  // of the drafted ones and the one that follows them
    least_tokens += least_chance *= least_rate;
    const double took = seconds(drafted);
    if (!affords(took - plain_)) continue;
    if (took - least_tokens * plain_ > std::max(credit_, 0.0)) continue;
    if (tokens / took <= best_speed) continue;
    best_speed = tokens / took;
    best = drafted;
  }
  return best;
}

bool Pace::worth(double tokens, double seconds) const {
  return knows_decoding() && tokens * plain_ > kWorthwhile * seconds && affords(seconds - plain_);
}

void Pace::forget() {
  for (Kind& row : kinds_) {
    row.tried *= kKeepUntried;
    row.accepted *= kKeepUntried;
  }
}

void Pace::add_plain(double seconds) {
  recent_.push_back(seconds);
  if (recent_.size() > kRemembered) recent_.pop_front();
  std::vector<double> sorted(recent_.begin(), recent_.end());
  std::sort(sorted.begin(), sorted.end());
  plain_ = sorted[static_cast<size_t>(kQuantile * static_cast<double>(sorted.size()))];
  if (recent_.size() == 1) credit_ = kFirstCredit * plain_;
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
