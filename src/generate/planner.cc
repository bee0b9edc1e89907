#include "generate/planner.h"

#include <algorithm>
#include <limits>

namespace diptych::generate {

namespace {

// The cheapest way to have evaluated some first rows.
struct Step {
  double seconds = std::numeric_limits<double>::infinity();
  int64_t calls = 0;
  PlannedCall last;

  bool offer(const Step& from, const PlannedCall& call, double cost) {
    const Step offered{from.seconds + cost, from.calls + 1, call};
    const bool better =
        offered.seconds < seconds || (offered.seconds == seconds && offered.calls < calls);
    if (better) *this = offered;
    return better;
  }
};

}  // namespace

std::vector<PlannedCall> plan_calls(const Stretch& stretch, std::span<const Choice> choices) {
  // reached[i]: the first i rows are in the cache.
  const int64_t inside = std::min(stretch.room, stretch.rows - 1);
  std::vector<Step> reached(static_cast<size_t>(inside) + 1);
  reached[0] = {0, 0, {}};
  Step end;
  for (int64_t at = 0; at <= inside; ++at) {
    const Step from = reached[static_cast<size_t>(at)];
    for (size_t function = 0; function < choices.size(); ++function) {
      const auto& [tokens, cost] = choices[function];
      for (int64_t rows = 1; rows <= std::min(tokens, inside - at); ++rows) {
        reached[static_cast<size_t>(at + rows)].offer(from, {function, rows},
                                                      cost.seconds(rows, false));
      }
      const int64_t rest = stretch.rows - at;
      if (rest <= tokens) end.offer(from, {function, rest}, cost.seconds(rest, true));
    }
  }
  std::vector<PlannedCall> calls;
  if (end.calls == 0) return calls;
  calls.push_back(end.last);
  for (int64_t at = stretch.rows - end.last.rows; at > 0; at -= calls.back().rows) {
    calls.push_back(reached[static_cast<size_t>(at)].last);
  }
  std::reverse(calls.begin(), calls.end());
  return calls;
}

}  // namespace diptych::generate
