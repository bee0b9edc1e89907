#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/outliers.cc"
#include "kernels/outliers.h"

#include <hwy/foreach_target.h>  // compiles this file once for each instruction set
#include <hwy/highway.h>

#ifndef DIPTYCH_OUTLIERS_ONCE
#define DIPTYCH_OUTLIERS_ONCE

#include <algorithm>
#include <bit>
#include <cmath>

namespace diptych::kernels {

// Blocks of a row whose largest values are worth being taken out.
class CandidateBlocks {
 public:
  // Takes up a block if its square falls by `least` at least for each value that is taken out.
  void consider(const float* x, int64_t first, int64_t count, double least) {
    float top[kMostOfBlock + 1] = {};  // the largest magnitudes, in order
    for (int64_t i = 0; i < count; ++i) {
      float value = std::fabs(x[first + i]);
      for (float& place : top) {
        if (value > place) std::swap(value, place);
      }
    }
    Candidate best{};
    for (int taken = 1; taken <= kMostOfBlock; ++taken) {
      const double largest = top[0], rest = top[taken];
      if (2 * rest > largest) continue;
      const double gain = (largest * largest - rest * rest) / taken;
      if (gain > best.gain) best = {gain, first, top[taken], taken};
    }
    if (best.gain >= least && count_ < kMost) all_[count_++] = best;
  }

  // Those of the blocks that gain most, as many as there may be.
  Outliers outliers(const float* x, int64_t columns) {
    std::sort(all_, all_ + count_, [](const Candidate& a, const Candidate& b) {
      return a.gain != b.gain ? a.gain > b.gain : a.first < b.first;
    });
    int room = kMostOutliers, taken = 0;
    for (int i = 0; i < count_; ++i) {
      if (all_[i].outliers > room) continue;
      room -= all_[i].outliers;
      all_[taken++] = all_[i];
    }
    std::sort(all_, all_ + taken,
              [](const Candidate& a, const Candidate& b) { return a.first < b.first; });
    Outliers found;
    for (int c = 0; c < taken; ++c) {
      const int64_t end = std::min(all_[c].first + kBlock, columns);
      for (int64_t i = all_[c].first; i < end; ++i) {
        if (std::fabs(x[i]) <= all_[c].rest) continue;
        found.columns[found.count] = static_cast<int32_t>(i);
        found.values[found.count++] = x[i];
      }
    }
    return found;
  }

 private:
  static constexpr int kMostOfBlock = 3;
  static constexpr int kMost = kOutlierShare;  // so many can have their share of the sum

  struct Candidate {
    double gain;
    int64_t first;  // column
    float rest;     // what the largest is when the outliers are taken out
    int outliers;
  };
  Candidate all_[kMost];
  int count_ = 0;
};

}  // namespace diptych::kernels
#endif  // DIPTYCH_OUTLIERS_ONCE

HWY_BEFORE_NAMESPACE();
namespace diptych::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
// The bits of the largest magnitude of a block. Without their sign floats compare as integers do,
// infinities and NaN above all.
HWY_INLINE uint32_t largest_of(const float* x, int64_t count) {
  constexpr uint32_t kMagnitude = 0x7FFFFFFF;
  uint32_t largest = 0;
  int64_t i = 0;
  if (count == kBlock) {
    const hn::CappedTag<uint32_t, kBlock> d;
    auto most = hn::Zero(d);
    for (; i < kBlock; i += static_cast<int64_t>(hn::Lanes(d))) {
      const auto bits = hn::LoadU(d, reinterpret_cast<const uint32_t*>(x) + i);
      most = hn::Max(most, hn::And(bits, hn::Set(d, kMagnitude)));
    }
    largest = hn::GetLane(hn::MaxOfLanes(d, most));
  }
  for (; i < count; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & kMagnitude);
  return largest;
}

Outliers find_outliers(const float* x, int64_t columns) {
  const auto size_of_block = [&](int64_t first) { return std::min(kBlock, columns - first); };
  const auto square_of = [&](int64_t first) {
    const double largest = std::bit_cast<float>(largest_of(x + first, size_of_block(first)));
    return largest * largest;
  };
  double sum = 0;
  for (int64_t first = 0; first < columns; first += kBlock) sum += square_of(first);
  if (!(sum > 0) || !std::isfinite(sum)) return {};
  const double least = sum / kOutlierShare;
  CandidateBlocks candidates;
  for (int64_t first = 0; first < columns; first += kBlock) {
    if (square_of(first) >= least) candidates.consider(x, first, size_of_block(first), least);
  }
  return candidates.outliers(x, columns);
}

}  // namespace diptych::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::kernels {

HWY_EXPORT(find_outliers);

Outliers find_outliers(const float* x, int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(find_outliers)(x, columns);
}

}  // namespace diptych::kernels
#endif  // HWY_ONCE
