#include "quant/palette.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <new>

#include "base/half.h"

namespace diptych::quant {

namespace {

constexpr int kDroppedBits = 12;  // of a float, when it is brought into a bin
constexpr size_t kBins = size_t{1} << (32 - kDroppedBits);
// Of which the best table is found; it is then refined for all values.
constexpr size_t kMostPoints = 1024;
// An entry moves less and less; what is gained after so many steps does not matter.
constexpr int kMostSteps = 100;

// Floats in ascending order become integers in ascending order.
uint32_t bin_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = uint32_t{1} << 31;
  return ((bits & sign) != 0 ? ~bits : bits | sign) >> kDroppedBits;
}

// By Newton's steps, as libraries differ in the last bit.
double cube_root(double x) {
  if (x <= 0) return 0;
  auto root = std::bit_cast<double>(std::bit_cast<uint64_t>(x) / 3 + 0x2A9F789300000000u);
  for (int i = 0; i < 5; ++i) root = (2 * root + x / (root * root)) / 3;
  return root;
}

// Masses and moments of values, summed up: of those before each.
struct Sums {
  std::vector<double> mass, moment;

  explicit Sums(const std::vector<ValueCounts::Value>& values) : mass(1), moment(1) {
    for (const ValueCounts::Value& value : values) {
      mass.push_back(mass.back() + value.mass);
      moment.push_back(moment.back() + value.mass * value.mean);
    }
  }
  double mean(size_t from, size_t to) const {
    return (moment[to] - moment[from]) / (mass[to] - mass[from]);
  }
  // What one entry for these values takes off the sum of their squares.
  double gain(size_t from, size_t to) const {
    const double sum = moment[to] - moment[from];
    return sum * sum / (mass[to] - mass[from]);
  }
};

// At most kMostPoints values that stand for all: neighbours become one where entries will be far
// apart for them, which is where the density to the power of 1/3 is small.
std::vector<ValueCounts::Value> thinned(const std::vector<ValueCounts::Value>& values) {
  const size_t n = values.size();
  if (n <= kMostPoints) return values;
  std::vector<double> until(n);  // the integral of that up to a value and its cell
  double integral = 0;
  for (size_t i = 0; i < n; ++i) {
    const double before = values[i == 0 ? 0 : i - 1].mean,
                 after = values[std::min(i + 1, n - 1)].mean;
    const double width = (after - before) / 2;
    until[i] = integral += cube_root(values[i].mass * width * width);
  }
  std::vector<ValueCounts::Value> points;
  size_t last = 0;
  for (size_t i = 0; i < n; ++i) {
    // One half of the points goes by the integral, the other by number.
    const double share = until[i] / integral + static_cast<double>(i + 1) / static_cast<double>(n);
    const auto point = static_cast<size_t>(share / 2 * static_cast<double>(kMostPoints - 1));
    if (points.empty() || point != last) {
      points.push_back(values[i]);
      last = point;
      continue;
    }
    ValueCounts::Value& sum = points.back();
    const double mass = sum.mass + values[i].mass;
    sum = {(sum.mean * sum.mass + values[i].mean * values[i].mass) / mass, mass};
  }
  return points;
}

// The best division of points into so many runs, by dynamic programming: for e runs, the best begin
// of the last one moves up with its end, so each half of the ends looks at its share of the begins.
class Division {
 public:
  Division(const std::vector<ValueCounts::Value>& points, size_t runs)
      : sums_(points), begins_(runs, std::vector<uint16_t>(points.size() + 1)) {
    const size_t n = points.size();
    best_.resize(n + 1);
    for (size_t end = 1; end <= n; ++end) best_[end] = sums_.gain(0, end);
    for (size_t run = 1; run < runs; ++run) {
      next_.assign(n + 1, 0);
      extend(run, run + 1, n, run, n - 1);
      best_.swap(next_);
    }
  }

  // The means of the runs.
  std::vector<double> means() const {
    std::vector<double> means(begins_.size());
    size_t end = best_.size() - 1;
    for (size_t run = begins_.size(); run-- > 0;) {
      const size_t begin = begins_[run][end];
      means[run] = sums_.mean(begin, end);
      end = begin;
    }
    return means;
  }

 private:
  // For ends [first, last], whose last run begins in [low, high].
  void extend(size_t run, size_t first, size_t last, size_t low, size_t high) {
    if (first > last) return;
    const size_t end = (first + last) / 2;
    size_t found = low;
    double most = -1;
    for (size_t begin = low; begin <= std::min(high, end - 1); ++begin) {
      const double gain = best_[begin] + sums_.gain(begin, end);
      if (gain > most) {
        most = gain;
        found = begin;
      }
    }
    next_[end] = most;
    begins_[run][end] = static_cast<uint16_t>(found);
    extend(run, first, end - 1, low, found);
    extend(run, end + 1, last, found, high);
  }

  Sums sums_;
  std::vector<std::vector<uint16_t>> begins_;  // of the last of `run` + 1 runs, by end
  std::vector<double> best_, next_;            // by end
};

// Moves each entry to the mean of the values that are nearest to it, until none changes hands.
void refine(const std::vector<ValueCounts::Value>& values, std::vector<double>& table) {
  const Sums sums(values);
  std::vector<size_t> ends(table.size());
  for (int step = 0; step < kMostSteps; ++step) {
    bool changed = false;
    size_t begin = 0;
    for (size_t e = 0; e < table.size(); ++e) {
      size_t end = values.size();
      if (e + 1 < table.size()) {
        const double middle = (table[e] + table[e + 1]) / 2;
        const auto from = values.begin() + static_cast<int64_t>(begin);
        end = static_cast<size_t>(
            std::upper_bound(from, values.end(), middle,
                             [](double m, const ValueCounts::Value& v) { return m < v.mean; }) -
            values.begin());
      }
      changed = changed || end != ends[e];
      ends[e] = end;
      if (end > begin) table[e] = sums.mean(begin, end);
      begin = end;
    }
    if (!changed) return;
  }
}

// The least number of 4 significant bits that is not below `x`. A multiple of it by 7 bits is exact
// in fp16, which has 11.
double short_scale(double x) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::ceil(fraction * 16), exponent - 4);
}

// Rounds entries to multiples of one number, by at most 127.
void round_to_multiples(std::vector<double>& table) {
  constexpr double kLeast = 0x1p-20;  // whose multiples by 4 bits fp16 still has
  const double largest = std::max(std::fabs(table.front()), std::fabs(table.back()));
  const double scale = short_scale(std::max(largest / 127, kLeast));
  for (double& entry : table) entry = std::floor(entry / scale + 0.5) * scale;
}

}  // namespace

void ValueCounts::Free::operator()(Bin* bins) const { std::free(bins); }

ValueCounts::ValueCounts() : bins_(static_cast<Bin*>(std::calloc(kBins, sizeof(Bin)))) {
  if (bins_ == nullptr) throw std::bad_alloc();
}

bool ValueCounts::add(std::span<const float> weights, std::span<const float> importance) {
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!std::isfinite(weights[i])) return false;
    // What is of no importance counts as little as possible, so that it still has an entry.
    const double mass =
        importance.empty() ? 1 : std::max(static_cast<double>(importance[i]), 0x1p-100);
    const uint32_t at = bin_of(weights[i]);
    Bin& bin = bins_[at];
    if (bin.mass == 0) used_.push_back(at);
    bin.mass += mass;
    bin.sum += mass * static_cast<double>(weights[i]);
  }
  return true;
}

void ValueCounts::clear() {
  for (const uint32_t at : used_) bins_[at] = {};
  used_.clear();
}

std::vector<ValueCounts::Value> ValueCounts::values() const {
  std::vector<uint32_t> sorted = used_;
  std::sort(sorted.begin(), sorted.end());
  std::vector<Value> values;
  values.reserve(sorted.size());
  for (const uint32_t at : sorted) {
    values.push_back({bins_[at].sum / bins_[at].mass, bins_[at].mass});
  }
  return values;
}

std::vector<float> fit_palette(const ValueCounts& weights, int bits, DType dtype) {
  const size_t entries = size_t{1} << bits;
  const std::vector<ValueCounts::Value> values = weights.values();
  std::vector<double> table(entries, values.empty() ? 0 : values.back().mean);
  if (values.size() > entries) {
    table = Division(thinned(values), entries).means();
    refine(values, table);
  } else {
    for (size_t i = 0; i < values.size(); ++i) table[i] = values[i].mean;
  }
  if (bits == 4) round_to_multiples(table);
  std::vector<float> stored(entries);
  for (size_t e = 0; e < entries; ++e) {
    const auto narrow = static_cast<float>(table[e]);
    stored[e] = dtype == DType::F16 ? round_to_half(narrow) : narrow;
  }
  return stored;
}

NearestEntry::NearestEntry(std::span<const float> entries) {
  for (size_t e = 0; e + 1 < entries.size(); ++e) {
    midpoints_.push_back((entries[e] + entries[e + 1]) / 2);
  }
}

uint8_t NearestEntry::operator()(float weight) const {
  // A search in 2^bits - 1 sorted numbers without a branch: how many are below the weight.
  size_t below = 0;
  for (size_t half = (midpoints_.size() + 1) / 2; half > 0; half /= 2) {
    below += midpoints_[below + half - 1] < weight ? half : 0;
  }
  return static_cast<uint8_t>(below);
}

}  // namespace diptych::quant
