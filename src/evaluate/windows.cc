#include "evaluate/windows.h"

#include <algorithm>

namespace diptych::evaluate {

std::vector<Window> make_windows(std::span<const int64_t> text, std::optional<int64_t> bos,
                                 int64_t length, int64_t most_positions) {
  std::vector<Window> windows;
  const size_t first = bos ? 0 : 1;
  size_t end = text.size();
  if (most_positions > 0) end = std::min(end, first + static_cast<size_t>(most_positions));
  for (size_t begin = first; begin < end; begin += static_cast<size_t>(length)) {
    const size_t count = std::min(end - begin, static_cast<size_t>(length));
    Window window;
    window.inputs.push_back(bos ? *bos : text[begin - 1]);
    const auto tokens = text.subspan(begin, count);
    window.inputs.insert(window.inputs.end(), tokens.begin(), tokens.end() - 1);
    window.targets.assign(tokens.begin(), tokens.end());
    windows.push_back(std::move(window));
  }
  return windows;
}

}  // namespace diptych::evaluate
