#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/convert.cc"
#include "tensor/convert.h"

#include <hwy/foreach_target.h>  // compiles this file once for each instruction set
#include <hwy/highway.h>
// After the two above, which it relies on.
#include "tensor/halves-inl.h"

#ifndef DIPTYCH_CONVERT_ONCE
#define DIPTYCH_CONVERT_ONCE

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/half.h"

namespace diptych {

inline float load_float(const std::byte* in, DType from, size_t i) {
  switch (from) {
    case DType::F16:
      return half_to_float(load<uint16_t>(in + 2 * i));
    case DType::BF16:
      return bfloat16_to_float(load<uint16_t>(in + 2 * i));
    case DType::F64:
      return static_cast<float>(load<double>(in + 8 * i));
    default:
      return load<float>(in + 4 * i);
  }
}

inline void store_float(float value, std::byte* out, DType to, size_t i) {
  switch (to) {
    case DType::F16:
      return store(out + 2 * i, float_to_half(value));
    case DType::BF16:
      return store(out + 2 * i, float_to_bfloat16(value));
    case DType::F64:
      return store(out + 8 * i, static_cast<double>(value));
    default:
      return store(out + 4 * i, value);
  }
}

inline size_t width_of(DType dtype) { return static_cast<size_t>(bit_width(dtype)) / 8; }

}  // namespace diptych
#endif  // DIPTYCH_CONVERT_ONCE

HWY_BEFORE_NAMESPACE();
namespace diptych {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using U32 = hn::RebindToUnsigned<F>;
using U16 = hn::Rebind<uint16_t, F>;
using Floats = hn::Vec<F>;

// Packed elements as vectors of floats, and back: for every bit pattern what base/half.h has.
struct PackedF32 {
  static constexpr size_t kSize = 4;
  static Floats load(const std::byte* at) {
    return hn::BitCast(F(), hn::LoadU(U32(), reinterpret_cast<const uint32_t*>(at)));
  }
  static void store(Floats v, std::byte* at) {
    hn::StoreU(hn::BitCast(U32(), v), U32(), reinterpret_cast<uint32_t*>(at));
  }
};

struct PackedF16 {
  static constexpr size_t kSize = 2;
  static Floats load(const std::byte* at) {
    return widen_halves_exactly(F(), hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(at)));
  }
  static void store(Floats v, std::byte* at) {
    hn::StoreU(narrow_to_halves(F(), v), U16(), reinterpret_cast<uint16_t*>(at));
  }
};

struct PackedBf16 {
  static constexpr size_t kSize = 2;
  static Floats load(const std::byte* at) {
    const auto bits = hn::PromoteTo(U32(), hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(at)));
    return hn::BitCast(F(), hn::ShiftLeft<16>(bits));
  }
  static void store(Floats v, std::byte* at) {
    const U32 d;
    const auto bits = hn::BitCast(d, v);
    const auto high = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(high, hn::Set(d, 1u));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(d, 0x7FFFu)), odd));
    const auto magnitude = hn::And(bits, hn::Set(d, 0x7FFFFFFFu));
    const auto is_nan = hn::Gt(magnitude, hn::Set(d, 0x7F800000u));
    const auto result = hn::IfThenElse(is_nan, hn::Or(high, hn::Set(d, 0x40u)), rounded);
    hn::StoreU(hn::TruncateTo(U16(), result), U16(), reinterpret_cast<uint16_t*>(at));
  }
};

template <class From, class To>
size_t convert_with(const std::byte* in, size_t count, std::byte* out) {
  const size_t step = hn::Lanes(F());
  size_t i = 0;
  for (; i + step <= count; i += step) {
    To::store(From::load(in + i * From::kSize), out + i * To::kSize);
  }
  return i;
}

template <class From>
size_t convert_from(const std::byte* in, size_t count, std::byte* out, DType to) {
  if (to == DType::F16) return convert_with<From, PackedF16>(in, count, out);
  if (to == DType::BF16) return convert_with<From, PackedBf16>(in, count, out);
  return convert_with<From, PackedF32>(in, count, out);
}

// Converts whole vectors and returns how many elements those were.
size_t convert_vectors(const std::byte* in, DType from, size_t count, std::byte* out, DType to) {
  if (from == DType::F16) return convert_from<PackedF16>(in, count, out, to);
  if (from == DType::BF16) return convert_from<PackedBf16>(in, count, out, to);
  return convert_from<PackedF32>(in, count, out, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace diptych
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych {

HWY_EXPORT(convert_vectors);

bool is_castable(DType dtype) {
  return dtype == DType::F16 || dtype == DType::BF16 || dtype == DType::F32 || dtype == DType::F64;
}

void convert_floats_reference(const std::byte* in, DType from, size_t count, std::byte* out,
                              DType to) {
  if (from == to) {
    if (count > 0) std::memcpy(out, in, count * width_of(from));
    return;
  }
  for (size_t i = 0; i < count; ++i) store_float(load_float(in, from, i), out, to, i);
}

void convert_floats(const std::byte* in, DType from, size_t count, std::byte* out, DType to) {
  size_t done = 0;
  if (from != to && from != DType::F64 && to != DType::F64) {
    done = HWY_DYNAMIC_DISPATCH(convert_vectors)(in, from, count, out, to);
  }
  convert_floats_reference(in + done * width_of(from), from, count - done,
                           out + done * width_of(to), to);
}

}  // namespace diptych
#endif  // HWY_ONCE
