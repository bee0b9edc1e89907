#include "generate/planner.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace diptych::generate {

namespace {

// Sums that differ by less than this part are equal but for how they were rounded.
constexpr double kRounding = 1e-9;
// What the best function alone may be expected to take, as a part of the least.
constexpr double kUncertain = 1.08;

double seconds_of(std::span<const PlannedCall> calls, std::span<const Choice> choices) {
  double sum = 0;
  for (const PlannedCall& call : calls) {
    sum += choices[call.function].cost.seconds(call.rows, &call == &calls.back());
  }
  return sum;
}

// The cheapest way to have evaluated some first rows.
struct Way {
  double seconds = std::numeric_limits<double>::infinity();
  int64_t calls = 0;
  PlannedCall last;

  // Takes a way that is better; of equals the one that came first.
  void offer(const Way& from, const PlannedCall& call, double cost) {
    const Way offered{from.seconds + cost, from.calls + 1, call};
    const double difference = offered.seconds - seconds;
    const bool equal = std::abs(difference) <= kRounding * offered.seconds;
    if (calls == 0 || (equal ? offered.calls < calls : difference < 0)) *this = offered;
  }
};

}  // namespace

// Costs grow by lines. So if two calls had rows to spare, one could give rows to the other, until
// that is full or the first is empty or at the end of the cache, and lose nothing: all calls are
// full but for the first and the last. Their order makes no difference.
std::vector<PlannedCall> plan_calls(const Stretch& stretch, std::span<const Choice> choices) {
  // ways[i]: to have the first i rows in the cache.
  const int64_t inside = std::min(stretch.room, stretch.rows - 1);
  std::vector<Way> ways(static_cast<size_t>(inside) + 1);
  const auto offer = [&](int64_t from, size_t function, int64_t rows) {
    if (from + rows > inside) return;
    ways[static_cast<size_t>(from + rows)].offer(ways[static_cast<size_t>(from)], {function, rows},
                                                 choices[function].cost.seconds(rows, false));
  };
  ways[0] = {0, 0, {}};
  for (int64_t at = 0; at <= inside; ++at) {
    if (at > 0 && ways[static_cast<size_t>(at)].calls == 0) continue;
    for (size_t function = 0; function < choices.size(); ++function) {
      const int64_t tokens = choices[function].tokens;
      offer(at, function, tokens);
      for (int64_t rows = 1; at == 0 && rows < tokens; ++rows) offer(at, function, rows);
    }
  }
  Way end;
  for (int64_t at = inside; at >= 0; --at) {
    const Way& from = ways[static_cast<size_t>(at)];
    if (at > 0 && from.calls == 0) continue;
    const int64_t rest = stretch.rows - at;
    for (size_t function = 0; function < choices.size(); ++function) {
      if (choices[function].tokens < rest) continue;
      end.offer(from, {function, rest}, choices[function].cost.seconds(rest, true));
    }
  }
  std::vector<PlannedCall> calls;
  if (end.calls == 0) return calls;
  calls.push_back(end.last);
  for (int64_t at = stretch.rows - end.last.rows; at > 0; at -= calls.back().rows) {
    calls.push_back(ways[static_cast<size_t>(at)].last);
  }
  std::reverse(calls.begin(), calls.end());
  return calls;
}

std::vector<PlannedCall> plan_alone(const Stretch& stretch, std::span<const Choice> choices,
                                    size_t function) {
  std::vector<PlannedCall> calls = plan_calls(stretch, choices.subspan(function, 1));
  for (PlannedCall& call : calls) call.function = function;
  return calls;
}

std::vector<PlannedCall> plan_safely(const Stretch& stretch, std::span<const Choice> choices) {
  std::vector<PlannedCall> best = plan_calls(stretch, choices), one;
  double least = std::numeric_limits<double>::infinity();
  for (size_t function = 0; function < choices.size(); ++function) {
    std::vector<PlannedCall> calls = plan_alone(stretch, choices, function);
    const double seconds = seconds_of(calls, choices);
    if (calls.empty() || seconds >= least) continue;
    least = seconds;
    one = std::move(calls);
  }
  return least <= kUncertain * seconds_of(best, choices) ? one : best;
}

}  // namespace diptych::generate
