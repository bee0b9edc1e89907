#include "kernels/fetch_choice.h"

#include <algorithm>

namespace diptych::kernels {

namespace {

float median_of(const std::array<std::atomic<float>, FetchChoice::kSamples>& samples) {
  std::array<float, FetchChoice::kSamples> sorted;
  for (size_t i = 0; i < sorted.size(); ++i) sorted[i] = samples[i].load();
  const auto middle = sorted.begin() + sorted.size() / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

}  // namespace

void FetchChoice::add(uint32_t number, float cost) {
  costs_[number % 2 == 0][number / 2].store(cost);
  if (taken_.fetch_add(1) + 1 < 2 * kSamples) return;
  ahead_ = median_of(costs_[1]) <= median_of(costs_[0]);
  known_ = true;
}

FetchChoice& fetch_choice() {
  static FetchChoice choice;
  return choice;
}

}  // namespace diptych::kernels
