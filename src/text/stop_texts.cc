#include "text/stop_texts.h"

#include <algorithm>
#include <utility>

#include "text/utf8.h"

namespace diptych::text {

Result<StopTexts> StopTexts::create(std::vector<std::string> texts) {
  for (const std::string& text : texts) {
    if (text.empty()) return invalid_argument("a stop text is empty");
    if (valid_utf8_prefix(text) != text.size()) {
      return invalid_argument("a stop text is not UTF-8 from byte {} on", valid_utf8_prefix(text));
    }
  }
  return StopTexts(std::move(texts));
}

std::string StopTexts::add(std::string_view piece) {
  if (stopped_) return {};
  pending_ += piece;

  size_t begin = std::string::npos, end = std::string::npos;  // of the stop text
  for (const std::string& text : texts_) {
    const size_t at = pending_.find(text);
    if (at == std::string::npos) continue;
    if (at + text.size() < end || (at + text.size() == end && at < begin)) {
      begin = at;
      end = at + text.size();
    }
  }
  if (begin != std::string::npos) {
    stopped_ = true;
    pending_.resize(begin);
    return std::exchange(pending_, {});
  }

  // Hold back the longest end that begins a stop text. Both are UTF-8, so it begins a character.
  size_t held = 0;
  for (const std::string& text : texts_) {
    for (size_t size = std::min(text.size() - 1, pending_.size()); size > held; --size) {
      if (pending_.compare(pending_.size() - size, size, text, 0, size) == 0) held = size;
    }
  }
  std::string out = pending_.substr(0, pending_.size() - held);
  pending_.erase(0, out.size());
  return out;
}

std::string StopTexts::finish() { return std::exchange(pending_, {}); }

}  // namespace diptych::text
