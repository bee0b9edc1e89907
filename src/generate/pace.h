// How many tokens are worth drafting: what drafts and calls took and gave so far decides, and an
// account of what speculation has cost beside decoding token by token keeps it from ever costing
// more than a few percent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace diptych::generate {

class Pace {
 public:
  // `expected`: of each kind of drafts, the part of its tokens that is accepted, as long as nothing
  // is known.
  explicit Pace(const std::vector<double>& expected);

  // Of 1 to `most` tokens the number whose draft of this kind gives most tokens a second; 0 where
  // none gives more than decoding does. It never overdraws the account by more than a step, and
  // that only where what was seen of such drafts, not what was expected, makes up for their time.
  // `seconds` says what a step with so many drafted tokens is expected to take.
  using Seconds = std::function<double(int64_t drafted)>;
  int64_t length(size_t kind, int64_t most, const Seconds& seconds) const;
  // The same for steps that give so many tokens on average, however they come by them.
  bool worth(double tokens, double seconds) const;

  void add_plain(double seconds);
  void add_step(double seconds, int64_t tokens);
  // What became of a draft, or would have.
  void add_draft(size_t kind, int64_t drafted, int64_t accepted);
  // Nothing was drafted: what is not tried is forgotten, so that it is tried again some day.
  void forget();

 private:
  // Drafted tokens that were looked at, and those of them that were accepted.
  struct Kind {
    double expected = 0;
    double tried = 0, accepted = 0;
  };
  bool knows_decoding() const;
  bool affords(double loss) const;

  std::vector<Kind> kinds_;
  std::deque<double> recent_;  // seconds of the last steps without a draft
  double plain_ = 0;           // what such a step is taken to need
  int64_t since_plain_ = 0;    // steps
  double credit_ = 0;          // seconds that speculation may still lose
};

}  // namespace diptych::generate
