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
// An entry moves less and less; what is gained after so many steps does not matter.
constexpr int kMostSteps = 200;

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

// Quantiles of the density to the power of 1/3, which is how dense the entries of the best table
// are when there are many.
std::vector<double> start(const std::vector<ValueCounts::Value>& values, size_t entries) {
  std::vector<double> until(values.size());  // the integral up to a value and half its cell
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double before = values[i == 0 ? 0 : i - 1].mean;
    const double after = values[std::min(i + 1, values.size() - 1)].mean;
    const double width = (after - before) / 2;
    sum += cube_root(values[i].mass * width * width);
    until[i] = sum;
  }
  std::vector<double> table(entries);
  size_t at = 0;
  for (size_t e = 0; e < entries; ++e) {
    const double wanted = sum * (static_cast<double>(e) + 0.5) / static_cast<double>(entries);
    while (at + 1 < values.size() && until[at] < wanted) ++at;
    table[e] = values[at].mean;
  }
  return table;
}

// Moves each entry to the mean of the values that are nearest to it, until none changes hands.
void refine(const std::vector<ValueCounts::Value>& values, std::vector<double>& table) {
  std::vector<double> mass(values.size() + 1), moment(values.size() + 1);  // of those before
  for (size_t i = 0; i < values.size(); ++i) {
    mass[i + 1] = mass[i] + values[i].mass;
    moment[i + 1] = moment[i] + values[i].mass * values[i].mean;
  }
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
      if (end > begin) table[e] = (moment[end] - moment[begin]) / (mass[end] - mass[begin]);
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
    table = start(values, entries);
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
