#include "measure/peak_loop.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "measure/peak_loop.cc"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace diptych::measure::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that vectors can stand in arrays.
using F32 = hn::CappedTag<float, 16>;

// Chains that do not wait for one another: a multiply-add takes 4 or 5 cycles, of which two or
// three start in each.
constexpr size_t kChains = 12;

size_t multiply_adds_per_round() { return kChains * hn::Lanes(F32()); }

float multiply_add_loop(int64_t rounds) {
  const F32 d;
  // Converges to 1, so no number becomes a slow one.
  const auto factor = hn::Set(d, 0.5F), addend = hn::Set(d, 0.5F);
  hn::Vec<F32> chains[kChains];
  for (size_t i = 0; i < kChains; ++i) chains[i] = hn::Set(d, static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
    for (auto& chain : chains) chain = hn::MulAdd(chain, factor, addend);
  }
  auto all = chains[0];
  for (size_t i = 1; i < kChains; ++i) all = hn::Add(all, chains[i]);
  return hn::GetLane(hn::SumOfLanes(d, all));
}

}  // namespace diptych::measure::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::measure {

HWY_EXPORT(multiply_adds_per_round);
HWY_EXPORT(multiply_add_loop);

size_t multiply_adds_per_round() { return HWY_DYNAMIC_DISPATCH(multiply_adds_per_round)(); }
float multiply_add_loop(int64_t rounds) { return HWY_DYNAMIC_DISPATCH(multiply_add_loop)(rounds); }

}  // namespace diptych::measure
#endif  // HWY_ONCE
