// How much work a text may take on its way to ids.
//
// Files of tokenizers are hostile: an expression can look at every character again for every other,
// a list of replacements can double a text with each. Whatever does such work counts it here, in
// steps that each take a few nanoseconds. A text may take a number of steps that is linear in its
// bytes; beyond that it ends in an error, never in a wait.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace diptych::text {

class Work {
 public:
  static constexpr uint64_t kSteps = 4'000'000;  // for every text
  static constexpr uint64_t kStepsPerByte = 50;  // and as many more
  static constexpr uint64_t kSlackBytes = 4096;  // what a text may become: so much
  static constexpr uint64_t kBytesPerByte = 32;  // and as many times itself

  // For a text of `bytes`.
  explicit Work(size_t bytes)
      : steps_(kSteps + kStepsPerByte * bytes), most_bytes_(kSlackBytes + kBytesPerByte * bytes) {}

  // False when nothing is left; it stays so.
  bool spend(uint64_t steps) {
    const bool enough = steps <= steps_;
    steps_ = enough ? steps_ - steps : 0;
    return enough;
  }

  // The same with an error.
  Status take(uint64_t steps) {
    if (spend(steps)) return {};
    return exhausted();
  }

  // Fails when what becomes of the text has too many bytes.
  Status check_size(size_t bytes) const {
    if (bytes <= most_bytes_) return {};
    return unsupported(
        "the tokenizer makes more than {} bytes of a text, which is {} for each of its own and {}",
        most_bytes_, kBytesPerByte, kSlackBytes);
  }

  static tl::unexpected<Error> exhausted() {
    return unsupported(
        "the text takes this tokenizer more than {} steps for each of its bytes and {}",
        kStepsPerByte, kSteps);
  }

 private:
  uint64_t steps_, most_bytes_;
};

}  // namespace diptych::text
