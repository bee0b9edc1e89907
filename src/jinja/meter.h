// Counts the work of a rendering, so that a template cannot run for long: whatever looks at values
// says how much it looks at, before it does. A step takes some 100 nanoseconds at most.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace diptych::jinja {

class Meter {
 public:
  explicit Meter(uint64_t limit) : limit_(limit) {}
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  // One for each node that is evaluated and each element that is looked at. Fails, and ever after,
  // when there were too many.
  Status step(uint64_t count = 1) {
    used_ = count > limit_ - used_ ? limit_ : used_ + count;
    if (used_ < limit_) return {};
    return unsupported("the template runs for more than {} steps", limit_);
  }

  // Bytes that are copied, compared or searched.
  Status bytes(uint64_t count) { return step(count / 64); }
  // Bytes of a text that is looked at character by character.
  Status characters(uint64_t count) { return step(count / 8); }
  // Values that are copied.
  Status items(uint64_t count) { return step(count / 8); }

 private:
  const uint64_t limit_;
  uint64_t used_ = 0;
};

}  // namespace diptych::jinja
