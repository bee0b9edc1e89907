#include "generate/sampler.h"

#include <algorithm>
#include <cmath>

namespace diptych::generate {

int64_t argmax(std::span<const float> logits) {
  size_t best = 0;
  float largest = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > largest) {
      largest = logits[i];
      best = i;
    }
  }
  return static_cast<int64_t>(best);
}

int64_t Sampler::sample(std::span<const float> logits) {
  const int64_t best = argmax(logits);
  const float largest = logits[static_cast<size_t>(best)];
  if (greedy() || !std::isfinite(largest)) return best;

  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -INFINITY) candidates_.emplace_back(logits[i], static_cast<int64_t>(i));
  }
  // Most probable first; equal logits by index, so that the order is defined.
  const auto before = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  std::sort(candidates_.begin(), candidates_.end(), before);
  if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < candidates_.size()) {
    candidates_.resize(static_cast<size_t>(options_.top_k));
  }
  double total = 0;
  for (auto& [weight, id] : candidates_) {
    weight = static_cast<float>(std::exp(
        (static_cast<double>(weight) - static_cast<double>(largest)) / options_.temperature));
    total += static_cast<double>(weight);
  }
  if (options_.top_p < 1) {
    double sum = 0;
    size_t keep = 0;
    while (keep < candidates_.size() && (keep == 0 || sum < options_.top_p * total)) {
      sum += static_cast<double>(candidates_[keep++].first);
    }
    candidates_.resize(keep);
    total = sum;
  }
  // 53 random bits, so that the choice does not depend on a library's distribution.
  double point = static_cast<double>(random_() >> 11) * 0x1p-53 * total;
  for (const auto& [weight, id] : candidates_) {
    point -= static_cast<double>(weight);
    if (point < 0) return id;
  }
  return candidates_.back().second;
}

}  // namespace diptych::generate
