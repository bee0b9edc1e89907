#include "grammar/json_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

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

// Within reach, or one beyond it.
int64_t clamped(double value) {
  constexpr auto kBeyond = static_cast<double>(kLargest + 1);
  return static_cast<int64_t>(std::clamp(value, -kBeyond, kBeyond));
}

int64_t least_integer(std::optional<Bound> low) {
  if (!low) return -kLargest;
  const int64_t least = clamped(std::ceil(low->value));
  const bool itself = static_cast<double>(least) == low->value;
  return std::max(low->exclusive && itself ? least + 1 : least, -kLargest);
}

int64_t most_integer(std::optional<Bound> high) {
  if (!high) return kLargest;
  const int64_t most = clamped(std::floor(high->value));
  const bool itself = static_cast<double>(most) == high->value;
  return std::min(high->exclusive && itself ? most - 1 : most, kLargest);
}

Expression signed_between(int64_t least, int64_t most) {
  std::vector<Expression> ways;
  if (most >= 0) ways.push_back(naturals(std::max<int64_t>(least, 0), most));
  if (least < 0) {
    ways.push_back(sequence({text("-"), naturals(std::max<int64_t>(-most, 1), -least)}));
  }
  return any(std::move(ways));
}

// What is written of a number that is not negative: kMostDigits digits before and behind the point.
struct Decimal {
  int64_t whole = 0, fraction = 0;  // the latter in units of the last digit
  auto operator<=>(const Decimal&) const = default;
};
constexpr Decimal kLargestDecimal = {kLargest, 0};

enum class Rounding : uint8_t { Down, Up };

// A reader takes the double that is nearest to what is written, and bounds are doubles. So what is
// no smaller than the shortest text of a bound is read as no smaller than the bound.
Decimal rounded(double value, Rounding rounding) {
  if (value > static_cast<double>(kLargest)) return {kLargest + 1, 0};
  std::array<char, 512> buffer;  // the least double has 324 digits behind the point
  const auto written = std::to_chars(buffer.begin(), buffer.end(), value, std::chars_format::fixed);
  const std::string_view text(buffer.data(), static_cast<size_t>(written.ptr - buffer.data()));
  const size_t point = std::min(text.find('.'), text.size());
  std::string behind(text.substr(std::min(point + 1, text.size())));
  const bool exact = behind.find_first_not_of('0', kMostDigits) == std::string::npos;
  behind.resize(kMostDigits, '0');
  Decimal decimal{std::stoll(std::string(text.substr(0, point))), std::stoll(behind)};
  if (exact || rounding == Rounding::Down) return decimal;
  if (++decimal.fraction > kLargest) decimal = {decimal.whole + 1, 0};
  return decimal;
}

// Its digits behind the point, up to the last that is not 0.
std::string fraction_of(const Decimal& decimal) {
  const std::string digits = fmt::format("{:0{}}", decimal.fraction, kMostDigits);
  return digits.substr(0, digits.find_last_not_of('0') + 1);
}

// Up to `room` digits behind the point that are no less than `low` and, if there is one, no more
// than `high`, which is not below it; both without zeros at the end. What is left out counts as 0.
Expression fraction_digits(const std::string& low, const std::optional<std::string>& high,
                           size_t room);

// The same of one digit at least.
Expression some_fraction_digits(const std::string& low, const std::optional<std::string>& high,
                                size_t room) {
  const auto first = [](const std::string& of) { return of.empty() ? '0' : of[0]; };
  const auto rest = [](const std::string& of) { return of.empty() ? of : of.substr(1); };
  const auto begun = [&](char with, const std::string& least,
                         const std::optional<std::string>& most) {
    return sequence({digit(with, with), fraction_digits(least, most, room - 1)});
  };
  char begin = first(low), end = high ? first(*high) : '9';
  if (high && begin == end) return begun(begin, rest(low), rest(*high));
  std::vector<Expression> ways;
  if (!rest(low).empty()) ways.push_back(begun(begin++, rest(low), std::nullopt));
  if (high) ways.push_back(begun(end--, "", rest(*high)));
  if (begin <= end) ways.push_back(sequence({digit(begin, end), digits(0, room - 1)}));
  return any(std::move(ways));
}

Expression fraction_digits(const std::string& low, const std::optional<std::string>& high,
                           size_t room) {
  if (low.empty() && !high) return digits(0, room);
  if (room == 0) return text("");
  const Expression some = some_fraction_digits(low, high, room);
  return low.empty() ? optional(some) : some;
}

// A whole number with such a fraction behind it.
Expression with_fraction(Expression whole, const std::string& low,
                         const std::optional<std::string>& high) {
  const Expression fraction = sequence({text("."), some_fraction_digits(low, high, kMostDigits)});
  return sequence({std::move(whole), low.empty() ? optional(fraction) : fraction});
}

// From `low` to `high`, neither below 0, with fractions.
Expression decimals(const Decimal& low, const Decimal& high) {
  const auto whole = [](const Decimal& of) { return text(std::to_string(of.whole)); };
  if (low > high) return any({});
  if (low.whole == high.whole) {
    return with_fraction(whole(low), fraction_of(low), fraction_of(high));
  }
  std::vector<Expression> ways;
  ways.push_back(with_fraction(whole(low), fraction_of(low), std::nullopt));
  if (low.whole + 1 < high.whole) {
    ways.push_back(with_fraction(naturals(low.whole + 1, high.whole - 1), "", std::nullopt));
  }
  ways.push_back(with_fraction(whole(high), "", fraction_of(high)));
  return any(std::move(ways));
}

// The double that is a bound itself, next to one that is not.
double inclusive(const Bound& bound, double towards) {
  return bound.exclusive ? std::nextafter(bound.value, towards) : bound.value;
}

}  // namespace

Expression integers_between(std::optional<Bound> low, std::optional<Bound> high) {
  return signed_between(least_integer(low), most_integer(high));
}

Expression numbers_between(std::optional<Bound> low, std::optional<Bound> high) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double least = low ? inclusive(*low, kInfinity) : -kInfinity,
               most = high ? inclusive(*high, -kInfinity) : kInfinity;
  // Of magnitudes from `from` to `to`.
  const auto magnitudes = [](double from, double to) {
    return decimals(rounded(std::max(from, 0.0), Rounding::Up),
                    std::min(rounded(to, Rounding::Down), kLargestDecimal));
  };
  std::vector<Expression> ways;
  if (most >= 0) ways.push_back(magnitudes(least, most));
  if (least < 0) ways.push_back(sequence({text("-"), magnitudes(-most, -least)}));
  return any(std::move(ways));
}

}  // namespace diptych::grammar
