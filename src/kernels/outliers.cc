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

#include "kernels/kernel_memory.h"

namespace diptych::kernels {

inline constexpr int kMostOfBlock = 3;
// The largest magnitudes of a block, in order; one more than can be taken out.
struct LargestOfBlock {
  float values[kMostOfBlock + 1] = {};
};

// Blocks of a row whose largest values are worth being taken out.
class CandidateBlocks {
 public:
  // Takes up the block from column `first` on if its square falls by `least` at least for each
  // value that is taken out.
  void consider(const LargestOfBlock& top, int64_t first, double least) {
    Candidate best{};
    for (int taken = 1; taken <= kMostOfBlock; ++taken) {
      const double largest = top.values[0], rest = top.values[taken];
      if (2 * rest > largest) continue;
      const double gain = (largest * largest - rest * rest) / taken;
      if (gain > best.gain) best = {gain, first, top.values[taken], taken};
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
using Bits = hn::CappedTag<uint32_t, kBlock>;
// Floats' bits without their sign. They compare as integers do, infinities and NaN above all.
using Magnitudes = hn::Vec<Bits>;
constexpr uint32_t kMagnitude = 0x7FFFFFFF;

// Of the magnitudes of a block, which fills whole vectors.
template <class Visit>
HWY_INLINE void for_vectors(const Visit& visit) {
  const auto vector = static_cast<int64_t>(hn::Lanes(Bits()));
  for (int64_t i = 0; i < kBlock; i += vector) visit(i);
}

HWY_INLINE uint32_t largest_of(const float* x, int64_t count) {
  const Bits d;
  uint32_t largest = 0;
  if (count < kBlock) {
    for (int64_t i = 0; i < count; ++i) {
      largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & kMagnitude);
    }
    return largest;
  }
  Magnitudes most = hn::Zero(d);
  for_vectors([&](int64_t i) {
    const Magnitudes bits = hn::LoadU(d, reinterpret_cast<const uint32_t*>(x) + i);
    most = hn::Max(most, hn::And(bits, hn::Set(d, kMagnitude)));
  });
  return hn::GetLane(hn::MaxOfLanes(d, most));
}

// Whether more values are above half the largest than can be taken out, as in most blocks: then
// none is worth it.
HWY_INLINE bool has_many_large(const float* x, int64_t count, float largest) {
  const hn::RebindToFloat<Bits> d;
  if (count < kBlock) return false;
  size_t above = 0;
  for_vectors([&](int64_t i) {
    const auto size = hn::Abs(hn::LoadU(d, x + i));
    above += hn::CountTrue(d, hn::Gt(hn::Add(size, size), hn::Set(d, largest)));
  });
  return above > kMostOfBlock;
}

HWY_INLINE LargestOfBlock largest_values(const float* x, int64_t count) {
  const Bits d;
  alignas(64) uint32_t left[kBlock] = {};
  for (int64_t i = 0; i < count; ++i) left[i] = std::bit_cast<uint32_t>(x[i]) & kMagnitude;
  LargestOfBlock found;
  for (int have = 0; have <= kMostOfBlock;) {
    Magnitudes most = hn::Zero(d);
    for_vectors([&](int64_t i) { most = hn::Max(most, hn::Load(d, left + i)); });
    most = hn::MaxOfLanes(d, most);
    size_t equal = 0;
    for_vectors([&](int64_t i) {
      const Magnitudes values = hn::Load(d, left + i);
      const auto largest = hn::Eq(values, most);
      equal += hn::CountTrue(d, largest);
      hn::Store(hn::IfThenZeroElse(largest, values), d, left + i);
    });
    for (; equal > 0 && have <= kMostOfBlock; --equal) {
      found.values[have++] = std::bit_cast<float>(hn::GetLane(most));
    }
  }
  return found;
}

Outliers find_outliers(const float* x, int64_t columns) {
  const auto count_from = [&](int64_t first) { return std::min(kBlock, columns - first); };
  const auto square_of = [](float value) { return double{value} * value; };
  const auto blocks = static_cast<size_t>(quotient_rounded_up(columns, kBlock));
  auto* const largest =
      reinterpret_cast<float*>(kernel_memory(KernelMemory::Row, blocks * sizeof(float)));
  double sum = 0;
  for (size_t i = 0; i < blocks; ++i) {
    const int64_t first = static_cast<int64_t>(i) * kBlock;
    largest[i] = std::bit_cast<float>(largest_of(x + first, count_from(first)));
    sum += square_of(largest[i]);
  }
  if (!(sum > 0) || !std::isfinite(sum)) return {};
  const double least = sum / kOutlierShare;
  CandidateBlocks candidates;
  for (size_t i = 0; i < blocks; ++i) {
    if (square_of(largest[i]) < least) continue;
    const int64_t first = static_cast<int64_t>(i) * kBlock;
    if (has_many_large(x + first, count_from(first), largest[i])) continue;
    candidates.consider(largest_values(x + first, count_from(first)), first, least);
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
