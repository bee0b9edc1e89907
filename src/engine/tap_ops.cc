#include "engine/tap_ops.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/tap_ops.cc"
// clang-format off
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, kTapSlack>;
using V32 = hn::Vec<F32>;

// out[i] = take(out[i], from[offsets[t] + i], t) for all taps in turn.
template <class Take>
void take_taps(const float* from, const Taps& taps, size_t n, float* out, Take take) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    V32 a = hn::LoadU(d, out + i), b = hn::LoadU(d, out + i + lanes),
        c = hn::LoadU(d, out + i + 2 * lanes), e = hn::LoadU(d, out + i + 3 * lanes);
    for (size_t t = 0; t < taps.count; ++t) {
      const float* x = from + taps.offsets[t] + i;
      a = take(a, hn::LoadU(d, x), t);
      b = take(b, hn::LoadU(d, x + lanes), t);
      c = take(c, hn::LoadU(d, x + 2 * lanes), t);
      e = take(e, hn::LoadU(d, x + 3 * lanes), t);
    }
    hn::StoreU(a, d, out + i);
    hn::StoreU(b, d, out + i + lanes);
    hn::StoreU(c, d, out + i + 2 * lanes);
    hn::StoreU(e, d, out + i + 3 * lanes);
  }
  while (i < n) {
    const size_t count = std::min(lanes, n - i);
    HWY_ALIGN float sums[kTapSlack] = {};
    std::copy_n(out + i, count, sums);
    V32 sum = hn::Load(d, sums);
    for (size_t t = 0; t < taps.count; ++t) {
      sum = take(sum, hn::LoadU(d, from + taps.offsets[t] + i), t);
    }
    hn::Store(sum, d, sums);
    std::copy_n(sums, count, out + i);
    i += count;
  }
}

void add_weighted_taps(const float* from, const Taps& taps, const float* weights, size_t n,
                       float* out) {
  const F32 d;
  take_taps(from, taps, n, out, [&](V32 sum, V32 x, size_t t) HWY_ATTR {
    return hn::MulAdd(x, hn::Set(d, weights[t]), sum);
  });
}

void add_taps(const float* from, const Taps& taps, size_t n, float* out) {
  take_taps(from, taps, n, out, [](V32 sum, V32 x, size_t) HWY_ATTR { return hn::Add(sum, x); });
}

void add_squared_taps(const float* from, const Taps& taps, size_t n, float* out) {
  take_taps(from, taps, n, out,
            [](V32 sum, V32 x, size_t) HWY_ATTR { return hn::MulAdd(x, x, sum); });
}

void take_largest_taps(const float* from, const Taps& taps, size_t n, float* out) {
  take_taps(from, taps, n, out, [](V32 largest, V32 x, size_t) HWY_ATTR {
    return hn::IfThenElse(hn::Or(hn::Gt(largest, x), hn::IsNaN(largest)), largest, x);
  });
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::engine {

HWY_EXPORT(add_weighted_taps);
HWY_EXPORT(add_taps);
HWY_EXPORT(add_squared_taps);
HWY_EXPORT(take_largest_taps);

void add_weighted_taps(const float* from, const Taps& taps, const float* weights, size_t n,
                       float* out) {
  HWY_DYNAMIC_DISPATCH(add_weighted_taps)(from, taps, weights, n, out);
}

void add_taps(const float* from, const Taps& taps, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(add_taps)(from, taps, n, out);
}

void add_squared_taps(const float* from, const Taps& taps, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(add_squared_taps)(from, taps, n, out);
}

void take_largest_taps(const float* from, const Taps& taps, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(take_largest_taps)(from, taps, n, out);
}

}  // namespace diptych::engine
#endif
