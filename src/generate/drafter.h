// Who guesses the next tokens, which the model then verifies together (speculation.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "generate/sampler.h"

namespace diptych::generate {

struct Draft {
  std::vector<int64_t> tokens;
  // What each token was drawn from, empty for one that was certain; none: all were.
  std::vector<Distribution> from;
  size_t kind = 0;  // below Drafter::kinds(): drafts of one kind are about as good
};

class Drafter {
 public:
  virtual ~Drafter() = default;

  // A generation begins after these tokens, which need not go on from what was seen before.
  virtual Status begin(std::span<const int64_t> context) = 0;
  // Returns at most `most` tokens that may follow the context: none where it has no idea. The
  // context goes on from that of begin() or of the last draft, with the tokens that were accepted.
  virtual Result<Draft> propose(std::span<const int64_t> context, int64_t most) = 0;
  // So many of the last draft's tokens were accepted.
  virtual void accept(size_t count) = 0;

  virtual size_t kinds() const { return 1; }
  // The part of the tokens of such a draft that are accepted, as far as can be said beforehand.
  virtual double expected_acceptance(size_t /*kind*/) const { return 0.6; }
  // Whether drafts take no time to speak of, so that they may be made just to see what they are
  // worth.
  virtual bool is_free() const { return false; }
  // Seconds that a draft of so many tokens is expected to take, after a context of so many.
  virtual double seconds(int64_t /*context*/, int64_t /*tokens*/) const { return 0; }
};

}  // namespace diptych::generate
