#include "grammar/json_numbers.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "grammar/json_rules.h"

namespace diptych::grammar {

namespace {

constexpr int64_t kLargest = 999'999'999'999'999;  // kMostDigits nines

Expression digit(char first, char last) {
  return chars({{static_cast<uint32_t>(first), static_cast<uint32_t>(last)}});
}

// Numbers of the same length from `low` to `high`, digit by digit.
Expression same_length(const std::string& low, const std::string& high) {
  if (low.empty()) return text("");
  const std::string low_rest = low.substr(1), high_rest = high.substr(1);
  const std::string zeros(low_rest.size(), '0'), nines(low_rest.size(), '9');
  if (low_rest == zeros && high_rest == nines) {
    return sequence({digit(low[0], high[0]), digits(zeros.size(), zeros.size())});
  }
  if (low[0] == high[0])
    return sequence({text(low.substr(0, 1)), same_length(low_rest, high_rest)});
  std::vector<Expression> ways;
  char first = low[0], last = high[0];
  if (low_rest != zeros) {
    ways.push_back(sequence({text(low.substr(0, 1)), same_length(low_rest, nines)}));
    ++first;
  }
  if (high_rest != nines) {
    ways.push_back(sequence({text(high.substr(0, 1)), same_length(zeros, high_rest)}));
    --last;
  }
  if (first <= last) {
    ways.push_back(sequence({digit(first, last), digits(zeros.size(), zeros.size())}));
  }
  return any(std::move(ways));
}

// From `low` to `high`, neither below 0.
Expression naturals(int64_t low, int64_t high) {
  std::vector<Expression> ways;
  while (low <= high) {
    const std::string begin = std::to_string(low);
    int64_t last = 9;  // of this length
    while (last < low) last = last * 10 + 9;
    last = std::min(last, high);
    ways.push_back(same_length(begin, std::to_string(last)));
    low = last + 1;
  }
  return any(std::move(ways));
}

int64_t clamped(double value) {
  return static_cast<int64_t>(
      std::clamp(value, static_cast<double>(-kLargest), static_cast<double>(kLargest)));
}

int64_t least_integer(std::optional<Bound> low) {
  if (!low) return -kLargest;
  const int64_t least = clamped(std::ceil(low->value));
  return low->exclusive && static_cast<double>(least) == low->value ? least + 1 : least;
}

int64_t most_integer(std::optional<Bound> high) {
  if (!high) return kLargest;
  const int64_t most = clamped(std::floor(high->value));
  return high->exclusive && static_cast<double>(most) == high->value ? most - 1 : most;
}

Expression signed_between(int64_t least, int64_t most) {
  std::vector<Expression> ways;
  if (most >= 0) ways.push_back(naturals(std::max<int64_t>(least, 0), most));
  if (least < 0) {
    ways.push_back(sequence({text("-"), naturals(std::max<int64_t>(-most, 1), -least)}));
  }
  return any(std::move(ways));
}

// From `low` to `high`, neither below 0, with fractions.
Expression positive_numbers(const Bound& low, const Bound& high) {
  const int64_t first = clamped(std::ceil(low.value)), last = clamped(std::floor(high.value));
  const Expression fraction = sequence({text("."), digits(1, kMostDigits)});
  const Expression some = sequence({text("."), digits(0, kMostDigits - 1), digit('1', '9')});
  std::vector<Expression> ways;
  int64_t begin = first;
  if (low.exclusive && static_cast<double>(first) == low.value && first < last) {
    ways.push_back(sequence({text(std::to_string(first)), some}));
    ++begin;
  }
  if (begin < last) ways.push_back(sequence({naturals(begin, last - 1), optional(fraction)}));
  const bool bound = static_cast<double>(last) == high.value && high.exclusive;
  const bool low_bound = static_cast<double>(last) == low.value && low.exclusive;
  if (first <= last && !bound && !low_bound) ways.push_back(text(std::to_string(last)));
  return any(std::move(ways));
}

}  // namespace

Expression integers_between(std::optional<Bound> low, std::optional<Bound> high) {
  return signed_between(least_integer(low), most_integer(high));
}

Expression numbers_between(std::optional<Bound> low, std::optional<Bound> high) {
  const Bound least = low.value_or(Bound{static_cast<double>(-kLargest), false});
  const Bound most = high.value_or(Bound{static_cast<double>(kLargest), false});
  std::vector<Expression> ways;
  if (most.value >= 0) {
    ways.push_back(positive_numbers(least.value < 0 ? Bound{0, false} : least, most));
  }
  if (least.value < 0) {
    const Bound from = most.value > 0 ? Bound{0, false} : Bound{-most.value, most.exclusive};
    ways.push_back(sequence({text("-"), positive_numbers(from, {-least.value, least.exclusive})}));
  }
  return any(std::move(ways));
}

}  // namespace diptych::grammar
