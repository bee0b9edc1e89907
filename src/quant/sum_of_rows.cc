#include "quant/sum_of_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/sum_of_rows.cc"
#include <hwy/foreach_target.h>
// foreach_target must come first.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace diptych::quant {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// As many rows as are added in one pass over `out`.
constexpr size_t kRows = 8;

// One pass: rows are `stride` apart, of which `count` <= kRows.
void add_few(const float* rows, size_t stride, const float* factors, size_t count, float* out,
             size_t columns) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t j = 0;
  // Four independent sums hide the latency of one.
  for (; j + 4 * lanes <= columns; j += 4 * lanes) {
    auto a = hn::LoadU(d, out + j), b = hn::LoadU(d, out + j + lanes);
    auto c = hn::LoadU(d, out + j + 2 * lanes), e = hn::LoadU(d, out + j + 3 * lanes);
    for (size_t r = 0; r < count; ++r) {
      const float* row = rows + r * stride + j;
      const auto factor = hn::Set(d, factors[r]);
      a = hn::MulAdd(factor, hn::LoadU(d, row), a);
      b = hn::MulAdd(factor, hn::LoadU(d, row + lanes), b);
      c = hn::MulAdd(factor, hn::LoadU(d, row + 2 * lanes), c);
      e = hn::MulAdd(factor, hn::LoadU(d, row + 3 * lanes), e);
    }
    hn::StoreU(a, d, out + j);
    hn::StoreU(b, d, out + j + lanes);
    hn::StoreU(c, d, out + j + 2 * lanes);
    hn::StoreU(e, d, out + j + 3 * lanes);
  }
  for (; j < columns; ++j) {
    for (size_t r = 0; r < count; ++r) out[j] += factors[r] * rows[r * stride + j];
  }
}

void add_all(const WeightedRows& rows, float sign, float* out, size_t columns) {
  float factors[kRows];
  for (size_t first = 0; first < rows.count; first += kRows) {
    const size_t count = std::min(kRows, rows.count - first);
    for (size_t r = 0; r < count; ++r) {
      factors[r] = sign * rows.factors[(first + r) * rows.factor_stride];
    }
    add_few(rows.rows + first * rows.row_stride, rows.row_stride, factors, count, out, columns);
  }
}

float dot_all(const float* a, const float* b, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto even = hn::Zero(d), odd = hn::Zero(d);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    even = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), even);
    odd = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), odd);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace diptych::quant
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::quant {

HWY_EXPORT(add_all);
HWY_EXPORT(dot_all);

void add_rows(const WeightedRows& rows, float sign, float* out, size_t columns) {
  HWY_DYNAMIC_DISPATCH(add_all)(rows, sign, out, columns);
}

float dot(const float* a, const float* b, size_t count) {
  return HWY_DYNAMIC_DISPATCH(dot_all)(a, b, count);
}

}  // namespace diptych::quant
#endif  // HWY_ONCE
