#include "engine/row_ops.h"

#include <algorithm>
#include <cmath>

#include "engine/vector_ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/row_ops.cc"
// clang-format off
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
// After the two above, which it relies on.
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using V32 = hn::Vec<F32>;

// Elements that do not fill a vector go through one padded with zeros, so that every element is
// computed by the same instructions wherever it stands.
struct Padded {
  HWY_ALIGN float lanes[16] = {};
  Padded(const float* from, size_t n) { std::copy_n(from, n, lanes); }
};

// out[i] = f(a[i], b[i])
template <class F>
void map_pairs(const float* a, const float* b, size_t n, float* out, F f) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(f(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  }
  if (i == n) return;
  Padded left(a + i, n - i), right(b + i, n - i);
  hn::Store(f(hn::Load(d, left.lanes), hn::Load(d, right.lanes)), d, left.lanes);
  std::copy_n(left.lanes, n - i, out + i);
}

float sum_of_squares(const float* x, size_t n, float factor) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  const V32 scale = hn::Set(d, factor);
  V32 sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  const auto add = [&](V32 v, V32& sum) {
    const V32 scaled = hn::Mul(v, scale);
    sum = hn::MulAdd(scaled, scaled, sum);
  };
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    for (size_t k = 0; k < 4; ++k) add(hn::LoadU(d, x + i + k * lanes), sums[k]);
  }
  for (; i + lanes <= n; i += lanes) add(hn::LoadU(d, x + i), sums[0]);
  if (i < n) {
    const Padded rest(x + i, n - i);
    add(hn::Load(d, rest.lanes), sums[1]);
  }
  return hn::GetLane(
      hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
}

void rms_norm(const RmsNorm& norm, const float* x, const float* weight, size_t n, float* out) {
  float largest = 1;
  if (norm.relative_epsilon) {
    largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  }
  const float mean = sum_of_squares(x, n, 1 / largest) / static_cast<float>(n);
  const float factor = 1 / (std::sqrt(mean + norm.epsilon) * largest);
  const F32 d;
  const V32 factors = hn::Set(d, factor);
  map_pairs(x, weight == nullptr ? x : weight, n, out, [&](V32 element, V32 w) {
    const V32 normalised = hn::Mul(element, factors);
    return weight == nullptr ? normalised : hn::Mul(normalised, w);
  });
}

// Pairs of a row: (x[2i], x[2i + 1]) by the angle i.
void rotate_neighbours(const float* x, const float* cos, const float* sin, size_t n, float* out) {
  const F32 d;
  const size_t lanes = hn::Lanes(d), pairs = n / 2;
  const auto rotate = [&](const float* from, const float* c, const float* s, float* to) HWY_ATTR {
    V32 even, odd;
    hn::LoadInterleaved2(d, from, even, odd);
    const V32 cosines = hn::LoadU(d, c), sines = hn::LoadU(d, s);
    hn::StoreInterleaved2(hn::MulSub(even, cosines, hn::Mul(odd, sines)),
                          hn::MulAdd(even, sines, hn::Mul(odd, cosines)), d, to);
  };
  size_t i = 0;
  for (; i + lanes <= pairs; i += lanes) rotate(x + 2 * i, cos + i, sin + i, out + 2 * i);
  if (i == pairs) return;
  const size_t rest = pairs - i;
  HWY_ALIGN float both[32] = {};
  std::copy_n(x + 2 * i, 2 * rest, both);
  rotate(both, Padded(cos + i, rest).lanes, Padded(sin + i, rest).lanes, both);
  std::copy_n(both, 2 * rest, out + 2 * i);
}

// Pairs of a row: (x[i], x[half + i]), each element with a cosine and a sine of its own.
void rotate_halves(const float* x, const float* cos, const float* sin, size_t n, float* out) {
  const F32 d;
  const size_t lanes = hn::Lanes(d), half = n / 2;
  const auto rotate = [&](size_t i, auto load, auto store) HWY_ATTR {
    const V32 first = load(x + i), second = load(x + half + i);
    store(hn::MulSub(first, load(cos + i), hn::Mul(second, load(sin + i))), out + i);
    store(hn::MulAdd(first, load(sin + half + i), hn::Mul(second, load(cos + half + i))),
          out + half + i);
  };
  size_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    rotate(
        i, [&](const float* from) HWY_ATTR { return hn::LoadU(d, from); },
        [&](V32 v, float* to) HWY_ATTR { hn::StoreU(v, d, to); });
  }
  if (i == half) return;
  const size_t rest = half - i;
  rotate(
      i, [&](const float* from) HWY_ATTR { return hn::Load(d, Padded(from, rest).lanes); },
      [&](V32 v, float* to) HWY_ATTR {
        HWY_ALIGN float lanes_of_v[16];
        hn::Store(v, d, lanes_of_v);
        std::copy_n(lanes_of_v, rest, to);
      });
}

// exp(x); hn::Exp is undefined beyond 104, where the result is infinite.
V32 exp_of(V32 x) {
  const F32 d;
  return hn::Exp(d, hn::Min(x, hn::Set(d, 100.0f)));
}

void swiglu(const float* gate, const float* up, size_t n, float* out) {
  const F32 d;
  const V32 one = hn::Set(d, 1.0f);
  map_pairs(gate, up, n, out,
            [&](V32 g, V32 u) { return hn::Mul(hn::Div(g, hn::Add(one, exp_of(hn::Neg(g)))), u); });
}

void geglu(const float* gate, const float* up, size_t n, float* out) {
  const F32 d;
  // (1 + tanh(y)) / 2 is 1 / (1 + exp(-2y)); the factors are -2 * sqrt(2 / pi) and 0.044715 of it.
  const V32 one = hn::Set(d, 1.0f), linear = hn::Set(d, -1.5957691216f);
  const V32 cubic = hn::Set(d, -0.0713548163f);
  map_pairs(gate, up, n, out, [&](V32 g, V32 u) {
    const V32 exponent = hn::Mul(g, hn::MulAdd(cubic, hn::Mul(g, g), linear));
    return hn::Mul(hn::Div(g, hn::Add(one, exp_of(exponent))), u);
  });
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::engine {

HWY_EXPORT(rms_norm);
HWY_EXPORT(rotate_neighbours);
HWY_EXPORT(rotate_halves);
HWY_EXPORT(swiglu);
HWY_EXPORT(geglu);

void rms_norm(const RmsNorm& norm, const float* x, const float* weight, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(rms_norm)(norm, x, weight, n, out);
}

void rotate_neighbours(const float* x, const float* cos, const float* sin, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(rotate_neighbours)(x, cos, sin, n, out);
}

void rotate_halves(const float* x, const float* cos, const float* sin, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(rotate_halves)(x, cos, sin, n, out);
}

void swiglu(const float* gate, const float* up, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(swiglu)(gate, up, n, out);
}

void geglu(const float* gate, const float* up, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(geglu)(gate, up, n, out);
}

}  // namespace diptych::engine
#endif
