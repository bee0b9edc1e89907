#include "evaluate/windows.h"

#include <algorithm>

namespace diptych::evaluate {

std::vector<Window> make_windows(std::span<const int64_t> text, std::span<const int64_t> prefix,
                                 int64_t length, int64_t most_positions) {
  std::vector<Window> windows;
  const size_t first = prefix.empty() ? 1 : 0;
  const auto lead = prefix.first(prefix.empty() ? 0 : prefix.size() - 1);
  const int64_t room = length - std::ssize(lead);
  if (room <= 0) return windows;
  size_t end = text.size();
  if (most_positions > 0) end = std::min(end, first + static_cast<size_t>(most_positions));
  for (size_t begin = first; begin < end; begin += static_cast<size_t>(room)) {
    const size_t count = std::min(end - begin, static_cast<size_t>(room));
    Window window;
    window.lead.assign(lead.begin(), lead.end());
    window.inputs.push_back(prefix.empty() ? text[begin - 1] : prefix.back());
    const auto tokens = text.subspan(begin, count);
    window.inputs.insert(window.inputs.end(), tokens.begin(), tokens.end() - 1);
    window.targets.assign(tokens.begin(), tokens.end());
    windows.push_back(std::move(window));
  }
  return windows;
}

std::vector<Window> part_of(std::vector<Window> windows, int64_t part, int64_t parts) {
  const int64_t count = std::ssize(windows);
  windows.erase(windows.begin() + count * (part + 1) / parts, windows.end());
  windows.erase(windows.begin(), windows.begin() + count * part / parts);
  return windows;
}

}  // namespace diptych::evaluate
