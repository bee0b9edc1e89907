#include "kernels/fetch_choice.h"

#include <algorithm>

namespace diptych::kernels {

namespace {

// The lower quartile: what disturbs a call makes it slower.
float usual(const std::array<std::atomic<float>, FetchChoice::kSamples>& samples) {
  std::array<float, FetchChoice::kSamples> sorted;
  for (size_t i = 0; i < sorted.size(); ++i) sorted[i] = samples[i].load();
  const auto quartile = sorted.begin() + sorted.size() / 4;
  std::nth_element(sorted.begin(), quartile, sorted.end());
  return *quartile;
}

}  // namespace

void FetchChoice::add(uint32_t number, float cost) {
  costs_[number % 2 == 0][number / 2].store(cost);
  if (taken_.fetch_add(1) + 1 < 2 * kSamples) return;
  ahead_ = usual(costs_[1]) <= usual(costs_[0]);
  known_ = true;
}

FetchChoice& fetch_choice() {
  static FetchChoice choice;
  return choice;
}

}  // namespace diptych::kernels
