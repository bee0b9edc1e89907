// Ends a stream of text where one of some given texts begins.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diptych::text {

// Text that may be the beginning of a stop text is held back until that is decided, so that no part
// of a stop text is ever given out, wherever the pieces of the stream have their borders. The stop
// text that is complete first counts; of those the longest.
class StopTexts {
 public:
  // Fails when one is empty or not UTF-8.
  static Result<StopTexts> create(std::vector<std::string> texts);
  StopTexts() = default;  // never stops

  // The text that can be given out now that `piece`, valid UTF-8, has come; valid UTF-8 as well.
  // After a stop text nothing comes any more.
  std::string add(std::string_view piece);

  // What is held back at the end of the stream, which is not a stop text then.
  std::string finish();

  // A stop text has come.
  bool stopped() const { return stopped_; }

 private:
  explicit StopTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  std::vector<std::string> texts_;
  std::string pending_;  // not given out: shorter than the longest stop text
  bool stopped_ = false;
};

}  // namespace diptych::text
