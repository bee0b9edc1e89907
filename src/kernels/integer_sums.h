// The sums of products with integer weights, as tiles (integer_tiles.h) and strips
// (integer_strips.h) of these make them: the same operations in the same order, in whatever
// register a sum is. Included by these, whose tops say what V is.
#pragma once

#include "kernels/integer_rows.h"

namespace diptych::kernels {
namespace {

// What the sums of row m of x begin with: with one scale per row of the weight, the offsets need
// not be added block by block.
template <class V, DType type, Scales kScales>
typename V::Floats first_sum(const LinearCall<typename V::Chunk>& call, int64_t m) {
  typename V::Floats sum = V::zero();
  if constexpr (V::template kRaised<type> && kScales == Scales::PerRow) {
    const typename V::Chunk* x = call.x + m * call.chunks;
    for (int64_t c = 0; c < call.chunks; ++c) {
      for (int step = 0; step < V::kSteps; ++step) {
        sum = V::add(sum, V::load_f32(x[c].offsets + step * V::kLanes));
      }
    }
    sum = V::multiply(sum, V::all(call.offset_factor));
  }
  return sum;
}

// A sum and the products of blocks: `dots` are sums of integers, per half those of first halves,
// and `second_dots` of second halves. `offsets` gives those of x, where they are needed.
template <class V, DType type, Scales kScales, class Offsets>
[[gnu::always_inline]] inline typename V::Floats with_products(
    typename V::Floats sum, typename V::Ints dots, typename V::Ints second_dots,
    typename V::Floats x_scales, const Offsets& offsets, typename V::Floats row_scales,
    typename V::Floats row_shifts) {
  const auto products = V::to_float(dots);
  if constexpr (kScales == Scales::PerHalf) {
    const auto seconds = V::multiply(V::to_float(second_dots), row_shifts);
    return V::multiply_add(V::multiply_add(products, row_scales, seconds), x_scales, sum);
  } else if constexpr (kScales == Scales::PerRow) {
    return V::multiply_add(products, x_scales, sum);
  } else if constexpr (is_shifted(kScales)) {
    const auto shifted = V::multiply(offsets(), row_shifts);
    return V::multiply_add(V::multiply_add(products, x_scales, shifted), row_scales, sum);
  } else if constexpr (V::template kRaised<type>) {
    return V::multiply_add(V::multiply_add(products, x_scales, offsets()), row_scales, sum);
  } else {
    return V::multiply_add(products, V::multiply(x_scales, row_scales), sum);
  }
}

}  // namespace
}  // namespace diptych::kernels
