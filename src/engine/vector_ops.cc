#include "engine/vector_ops.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/vector_ops.cc"
// clang-format off
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
// After the two above, which it relies on.
#include "engine/halves-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {

// A vector of fewer elements than lanes, zeros behind them. (MaskedLoad may touch what it masks.)
V32 load_partial(F32 d, const float* from, size_t n) {
  alignas(64) float lanes[kMaxLanes] = {};
  std::memcpy(lanes, from, n * sizeof(float));
  return hn::Load(d, lanes);
}

// `Rows` dot products with the same w. Each has four accumulators of its own, fed in the same order
// whatever Rows is, so that its bits do not depend on its neighbours.
template <size_t Rows>
void dot_some(const float* w, const float* x, size_t x_stride, size_t n, float* out,
              size_t out_stride) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  V32 a0[Rows], a1[Rows], a2[Rows], a3[Rows];
  for (size_t r = 0; r < Rows; ++r) a0[r] = a1[r] = a2[r] = a3[r] = hn::Zero(d);
  size_t k = 0;
  for (; k + 4 * lanes <= n; k += 4 * lanes) {
    const V32 w0 = hn::LoadU(d, w + k);
    const V32 w1 = hn::LoadU(d, w + k + lanes);
    const V32 w2 = hn::LoadU(d, w + k + 2 * lanes);
    const V32 w3 = hn::LoadU(d, w + k + 3 * lanes);
    for (size_t r = 0; r < Rows; ++r) {
      const float* row = x + r * x_stride + k;
      a0[r] = hn::MulAdd(w0, hn::LoadU(d, row), a0[r]);
      a1[r] = hn::MulAdd(w1, hn::LoadU(d, row + lanes), a1[r]);
      a2[r] = hn::MulAdd(w2, hn::LoadU(d, row + 2 * lanes), a2[r]);
      a3[r] = hn::MulAdd(w3, hn::LoadU(d, row + 3 * lanes), a3[r]);
    }
  }
  for (; k < n; k += lanes) {
    const size_t left = std::min(lanes, n - k);
    const V32 some_w = left == lanes ? hn::LoadU(d, w + k) : load_partial(d, w + k, left);
    for (size_t r = 0; r < Rows; ++r) {
      const float* row = x + r * x_stride + k;
      const V32 some_x = left == lanes ? hn::LoadU(d, row) : load_partial(d, row, left);
      a0[r] = hn::MulAdd(some_w, some_x, a0[r]);
    }
  }
  for (size_t r = 0; r < Rows; ++r) {
    const V32 all = hn::Add(hn::Add(a0[r], a1[r]), hn::Add(a2[r], a3[r]));
    out[r * out_stride] = hn::GetLane(hn::SumOfLanes(d, all));
  }
}

void dot_rows(const float* w, const float* x, size_t x_stride, size_t rows, size_t n, float* out,
              size_t out_stride) {
  size_t i = 0;
  for (; i + 2 <= rows; i += 2) {
    dot_some<2>(w, x + i * x_stride, x_stride, n, out + i * out_stride, out_stride);
  }
  if (i < rows) dot_some<1>(w, x + i * x_stride, x_stride, n, out + i * out_stride, out_stride);
}

void weighted_sum(const float* p, const float* v, size_t v_stride, size_t rows, size_t n,
                  float* out) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  size_t j = 0;
  for (; j + 4 * lanes <= n; j += 4 * lanes) {
    V32 a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
    for (size_t i = 0; i < rows; ++i) {
      const V32 weight = hn::Set(d, p[i]);
      const float* row = v + i * v_stride + j;
      a0 = hn::MulAdd(weight, hn::LoadU(d, row), a0);
      a1 = hn::MulAdd(weight, hn::LoadU(d, row + lanes), a1);
      a2 = hn::MulAdd(weight, hn::LoadU(d, row + 2 * lanes), a2);
      a3 = hn::MulAdd(weight, hn::LoadU(d, row + 3 * lanes), a3);
    }
    hn::StoreU(a0, d, out + j);
    hn::StoreU(a1, d, out + j + lanes);
    hn::StoreU(a2, d, out + j + 2 * lanes);
    hn::StoreU(a3, d, out + j + 3 * lanes);
  }
  for (; j < n; j += lanes) {
    const size_t left = std::min(lanes, n - j);
    V32 sum = hn::Zero(d);
    for (size_t i = 0; i < rows; ++i) {
      const float* row = v + i * v_stride + j;
      const V32 some = left == lanes ? hn::LoadU(d, row) : load_partial(d, row, left);
      sum = hn::MulAdd(hn::Set(d, p[i]), some, sum);
    }
    alignas(64) float result[kMaxLanes];
    hn::Store(sum, d, result);
    std::memcpy(out + j, result, left * sizeof(float));
  }
}

float sum(const float* x, size_t n) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  V32 total = hn::Zero(d);
  size_t k = 0;
  for (; k + lanes <= n; k += lanes) total = hn::Add(total, hn::LoadU(d, x + k));
  if (k < n) total = hn::Add(total, load_partial(d, x + k, n - k));
  return hn::GetLane(hn::SumOfLanes(d, total));
}

void halves_to_floats(const std::byte* halves, size_t n, float* out) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(PackedHalves::load(halves + 2 * i), d, out + i);
  if (i < n) {
    alignas(64) float result[kMaxLanes];
    hn::Store(PackedHalves::load_some(halves + 2 * i, n - i), d, result);
    std::memcpy(out + i, result, (n - i) * sizeof(float));
  }
}

// The nearest fp16 values, and how many finite ones among the first `live` lanes became infinite.
V32 round_vector(F32 d, V32 v, size_t live, uint64_t* overflows) {
  const auto overflown = hn::And(hn::Ge(hn::Abs(v), hn::Set(d, 65520.0f)), hn::IsFinite(v));
  *overflows += hn::CountTrue(d, hn::And(overflown, hn::FirstN(d, live)));
  return nearest_halves(d, v);
}

uint64_t round_to_halves(float* x, size_t n) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  uint64_t overflows = 0;
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(round_vector(d, hn::LoadU(d, x + i), lanes, &overflows), d, x + i);
  }
  if (i < n) {
    alignas(64) float result[kMaxLanes];
    hn::Store(round_vector(d, load_partial(d, x + i, n - i), n - i, &overflows), d, result);
    std::memcpy(x + i, result, (n - i) * sizeof(float));
  }
  return overflows;
}

uint64_t floats_to_halves(const float* x, size_t n, std::byte* halves) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  uint64_t overflows = 0;
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    PackedHalves::store(hn::LoadU(d, x + i), halves + 2 * i, &overflows);
  }
  if (i < n) {
    std::byte some[2 * kMaxLanes];
    PackedHalves::store(load_partial(d, x + i, n - i), some, &overflows);
    std::memcpy(halves + 2 * i, some, 2 * (n - i));
  }
  return overflows;
}

// Elements are dequantised in chunks of this many bytes.
constexpr size_t kChunk = 32;

// out[i] = (q[i] - offset) * scale for i < n <= kChunk. Reads kChunk bytes.
template <bool kRound, class Byte>
HWY_INLINE void scale_chunk(const Byte* q, size_t n, V32 scale, V32 offset, float* out,
                            uint64_t* overflows) {
  const F32 d;
  const hn::Rebind<int32_t, F32> di32;
  const hn::Rebind<Byte, F32> d8;
  const size_t lanes = hn::Lanes(d);
  const auto compute = [&](size_t i, size_t live) HWY_ATTR {
    const V32 value = hn::ConvertTo(d, hn::PromoteTo(di32, hn::LoadU(d8, q + i)));
    const V32 product = hn::Mul(hn::Sub(value, offset), scale);
    if constexpr (kRound) return round_vector(d, product, live, overflows);
    return product;
  };
  if (n == kChunk) {
    for (size_t i = 0; i < kChunk; i += lanes) hn::StoreU(compute(i, lanes), d, out + i);
    return;
  }
  for (size_t i = 0; i < n; i += lanes) {
    const size_t live = std::min(lanes, n - i);
    alignas(64) float result[kMaxLanes];
    hn::Store(compute(i, live), d, result);
    std::memcpy(out + i, result, live * sizeof(float));
  }
}

// 4-bit elements [at, at+n), n <= kChunk, as bytes.
template <class Byte>
HWY_INLINE void unpack_nibbles(const uint8_t* packed, uint64_t at, size_t n, Byte* out) {
  const auto extend = [](int nibble) {
    return static_cast<Byte>(std::is_signed_v<Byte> ? (nibble ^ 8) - 8 : nibble);
  };
#if HWY_TARGET != HWY_SCALAR
  if (n == kChunk && at % 2 == 0) {
    const hn::FixedTag<uint8_t, 16> d;
    const auto bytes = hn::LoadU(d, packed + at / 2);
    const auto bias = hn::Set(d, std::is_signed_v<Byte> ? 8 : 0);
    const auto low = hn::Sub(hn::Xor(hn::And(bytes, hn::Set(d, 15)), bias), bias);
    const auto high = hn::Sub(hn::Xor(hn::ShiftRight<4>(bytes), bias), bias);
    auto* to = reinterpret_cast<uint8_t*>(out);
    hn::StoreU(hn::InterleaveLower(d, low, high), d, to);
    hn::StoreU(hn::InterleaveUpper(d, low, high), d, to + 16);
    return;
  }
#endif
  for (size_t i = 0; i < n; ++i) {
    const uint64_t e = at + i;
    out[i] = extend((packed[e / 2] >> (e % 2 * 4)) & 15);
  }
}

template <class Byte, bool kNibbles, bool kRound>
uint64_t dequantize_row(const std::byte* q, uint64_t first, size_t n, const BlockScales& row,
                        float* out) {
  const F32 d;
  const auto* bytes = reinterpret_cast<const uint8_t*>(q);
  uint64_t overflows = 0;
  alignas(16) Byte chunk[kChunk] = {};
  for (size_t begin = 0, block = 0; begin < n; begin += row.block, ++block) {
    const V32 scale = hn::Set(d, row.scales[block]);
    const V32 offset = row.offsets == nullptr ? hn::Zero(d) : hn::Set(d, row.offsets[block]);
    const size_t end = std::min(n, begin + row.block);
    for (size_t i = begin; i < end; i += kChunk) {
      const size_t some = std::min(kChunk, end - i);
      if constexpr (kNibbles) {
        unpack_nibbles(bytes, first + i, some, chunk);
      } else {
        std::memcpy(chunk, bytes + first + i, some);
      }
      scale_chunk<kRound>(chunk, some, scale, offset, out + i, &overflows);
    }
  }
  return overflows;
}

template <class Byte, bool kNibbles>
uint64_t dequantize(const std::byte* q, uint64_t first, size_t n, const BlockScales& row,
                    float* out) {
  return row.round_to_half ? dequantize_row<Byte, kNibbles, true>(q, first, n, row, out)
                           : dequantize_row<Byte, kNibbles, false>(q, first, n, row, out);
}

uint64_t dequantize_int4(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                         float* out) {
  return dequantize<int8_t, true>(q, first, n, scales, out);
}
uint64_t dequantize_uint4(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                          float* out) {
  return dequantize<uint8_t, true>(q, first, n, scales, out);
}
uint64_t dequantize_int8(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                         float* out) {
  return dequantize<int8_t, false>(q, first, n, scales, out);
}
uint64_t dequantize_uint8(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                          float* out) {
  return dequantize<uint8_t, false>(q, first, n, scales, out);
}

// f of all elements; those that do not fill a vector go through one.
template <class From, class To, class F>
void map(const From* from, size_t n, To* out, F f) {
  const F32 d;
  const hn::Rebind<From, F32> from_tag;
  const hn::Rebind<To, F32> to_tag;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(hn::LoadU(from_tag, from + i)), to_tag, out + i);
  if (i == n) return;
  alignas(64) From some[kMaxLanes] = {};
  alignas(64) To made[kMaxLanes];
  std::copy_n(from + i, n - i, some);
  hn::Store(f(hn::Load(from_tag, some)), to_tag, made);
  std::copy_n(made, n - i, out + i);
}

void floats_to_steps(const float* x, size_t n, const Steps& steps, int32_t* out) {
  const F32 d;
  const hn::Rebind<int32_t, F32> integers;
  const V32 scale = hn::Set(d, steps.scale), zero = hn::Set(d, steps.zero),
            low = hn::Set(d, steps.low), high = hn::Set(d, steps.high);
  map(x, n, out, [&](V32 v) HWY_ATTR {
    const V32 count = hn::Div(v, scale);
    const V32 near = hn::IfThenZeroElse(hn::IsNaN(count), hn::Round(count));
    const V32 inside = hn::Min(hn::Max(hn::Add(near, zero), low), high);
    return hn::ConvertTo(integers, inside);
  });
}

void steps_to_floats(const int32_t* q, size_t n, const Steps& steps, float* out) {
  const F32 d;
  const V32 scale = hn::Set(d, steps.scale), zero = hn::Set(d, steps.zero);
  map(q, n, out,
      [&](auto v) HWY_ATTR { return hn::Mul(scale, hn::Sub(hn::ConvertTo(d, v), zero)); });
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::engine {

HWY_EXPORT(dot_rows);
HWY_EXPORT(weighted_sum);
HWY_EXPORT(sum);
HWY_EXPORT(halves_to_floats);
HWY_EXPORT(round_to_halves);
HWY_EXPORT(floats_to_halves);
HWY_EXPORT(dequantize_int4);
HWY_EXPORT(dequantize_uint4);
HWY_EXPORT(dequantize_int8);
HWY_EXPORT(dequantize_uint8);
HWY_EXPORT(floats_to_steps);
HWY_EXPORT(steps_to_floats);

void dot_rows(const float* w, const float* x, size_t x_stride, size_t rows, size_t n, float* out,
              size_t out_stride) {
  HWY_DYNAMIC_DISPATCH(dot_rows)(w, x, x_stride, rows, n, out, out_stride);
}
void weighted_sum(const float* p, const float* v, size_t v_stride, size_t rows, size_t n,
                  float* out) {
  HWY_DYNAMIC_DISPATCH(weighted_sum)(p, v, v_stride, rows, n, out);
}
float sum(const float* x, size_t n) { return HWY_DYNAMIC_DISPATCH(sum)(x, n); }
void halves_to_floats(const std::byte* halves, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(halves_to_floats)(halves, n, out);
}
void floats_to_steps(const float* x, size_t n, const Steps& steps, int32_t* out) {
  HWY_DYNAMIC_DISPATCH(floats_to_steps)(x, n, steps, out);
}

void steps_to_floats(const int32_t* q, size_t n, const Steps& steps, float* out) {
  HWY_DYNAMIC_DISPATCH(steps_to_floats)(q, n, steps, out);
}

uint64_t round_to_halves(float* x, size_t n) { return HWY_DYNAMIC_DISPATCH(round_to_halves)(x, n); }
uint64_t floats_to_halves(const float* x, size_t n, std::byte* halves) {
  return HWY_DYNAMIC_DISPATCH(floats_to_halves)(x, n, halves);
}
uint64_t dequantize_int4(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                         float* out) {
  return HWY_DYNAMIC_DISPATCH(dequantize_int4)(q, first, n, scales, out);
}
uint64_t dequantize_uint4(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                          float* out) {
  return HWY_DYNAMIC_DISPATCH(dequantize_uint4)(q, first, n, scales, out);
}
uint64_t dequantize_int8(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                         float* out) {
  return HWY_DYNAMIC_DISPATCH(dequantize_int8)(q, first, n, scales, out);
}
uint64_t dequantize_uint8(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                          float* out) {
  return HWY_DYNAMIC_DISPATCH(dequantize_uint8)(q, first, n, scales, out);
}

}  // namespace diptych::engine
#endif  // HWY_ONCE
