#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/convert.cc"
#include "tensor/convert.h"

#include <hwy/foreach_target.h>  // compiles this file once for each instruction set
#include <hwy/highway.h>

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

// All arithmetic is on the bits, so that no instruction set and no floating-point mode has a say in
// subnormals and NaNs. Lanes are 32 bits wide.
using Lanes = hn::ScalableTag<uint32_t>;
using Vector = hn::Vec<Lanes>;
using Narrow = hn::Rebind<uint16_t, Lanes>;

// Lanes where a < b; both below 2^31, so that the signed comparison, which all targets have, does.
hn::Mask<Lanes> less(Lanes d, Vector a, Vector b) {
  const hn::RebindToSigned<Lanes> di;
  return hn::RebindMask(d, hn::Lt(hn::BitCast(di, a), hn::BitCast(di, b)));
}

Vector load_lanes(Lanes d, const std::byte* in, size_t bytes_each) {
  if (bytes_each == 4) return hn::LoadU(d, reinterpret_cast<const uint32_t*>(in));
  return hn::PromoteTo(d, hn::LoadU(Narrow(), reinterpret_cast<const uint16_t*>(in)));
}

Vector half_bits_to_float(Lanes d, Vector h) {
  const auto sign = hn::ShiftLeft<16>(hn::And(h, hn::Set(d, 0x8000u)));
  const auto magnitude = hn::And(h, hn::Set(d, 0x7FFFu));
  const auto shifted = hn::ShiftLeft<13>(magnitude);
  const auto normal = hn::Add(shifted, hn::Set(d, 112u << 23));
  const auto special = hn::Or(shifted, hn::Set(d, 0x7F800000u));
  // Subnormal: the mantissa times 2^-24, by taking 0.5 away from 0.5 + it.
  const hn::RebindToFloat<Lanes> df;
  const auto half = hn::Set(df, 0.5f);
  const auto sum = hn::BitCast(df, hn::Or(magnitude, hn::Set(d, 0x3F000000u)));
  const auto subnormal = hn::BitCast(d, hn::Sub(sum, half));
  auto result = hn::IfThenElse(less(d, magnitude, hn::Set(d, 0x400u)), subnormal, normal);
  result = hn::IfThenElse(less(d, hn::Set(d, 0x7BFFu), magnitude), special, result);
  return hn::Or(result, sign);
}

Vector float_to_half_bits(Lanes d, Vector bits) {
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 0x8000u));
  const auto magnitude = hn::And(bits, hn::Set(d, 0x7FFFFFFFu));
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(d, 1u));
  // Wraps for magnitudes below the normal range, whose results are not used.
  const auto rounded =
      hn::ShiftRight<13>(hn::Add(hn::Add(magnitude, hn::Set(d, 0xFFFu - 0x38000000u)), odd));
  const hn::RebindToFloat<Lanes> df;
  const auto sum = hn::Add(hn::BitCast(df, magnitude), hn::Set(df, 0.5f));
  const auto subnormal = hn::Sub(hn::BitCast(d, sum), hn::Set(d, 0x3F000000u));
  const auto nan =
      hn::Or(hn::Set(d, 0x7E00u), hn::And(hn::ShiftRight<13>(magnitude), hn::Set(d, 0x1FFu)));
  auto result = hn::IfThenElse(less(d, magnitude, hn::Set(d, 0x38800000u)), subnormal, rounded);
  result = hn::IfThenElse(less(d, hn::Set(d, 0x477FEFFFu), magnitude), hn::Set(d, 0x7C00u), result);
  result = hn::IfThenElse(less(d, hn::Set(d, 0x7F800000u), magnitude), nan, result);
  return hn::Or(result, sign);
}

Vector float_to_bfloat16_bits(Lanes d, Vector bits) {
  const auto magnitude = hn::And(bits, hn::Set(d, 0x7FFFFFFFu));
  const auto high = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(high, hn::Set(d, 1u));
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(d, 0x7FFFu)), odd));
  const auto nan = hn::Or(high, hn::Set(d, 0x40u));
  return hn::IfThenElse(less(d, hn::Set(d, 0x7F800000u), magnitude), nan, rounded);
}

template <class ToFloat, class FromFloat>
size_t convert_with(const std::byte* in, size_t in_width, size_t count, std::byte* out,
                    size_t out_width, ToFloat to_float, FromFloat from_float) {
  const Lanes d;
  const size_t step = hn::Lanes(d);
  size_t i = 0;
  for (; i + step <= count; i += step) {
    const auto value = from_float(d, to_float(d, load_lanes(d, in + i * in_width, in_width)));
    if (out_width == 4) {
      hn::StoreU(value, d, reinterpret_cast<uint32_t*>(out + i * out_width));
    } else {
      hn::StoreU(hn::TruncateTo(Narrow(), value), Narrow(),
                 reinterpret_cast<uint16_t*>(out + i * out_width));
    }
  }
  return i;
}

// Converts whole vectors and returns how many elements those were.
size_t convert_vectors(const std::byte* in, DType from, size_t count, std::byte* out, DType to) {
  const auto same = [](Lanes, Vector v) { return v; };
  const auto widen = [](Lanes, Vector v) { return hn::ShiftLeft<16>(v); };
  const auto with_source = [&](auto to_float, size_t width) -> size_t {
    if (to == DType::F16) {
      return convert_with(in, width, count, out, 2, to_float, float_to_half_bits);
    }
    if (to == DType::BF16) {
      return convert_with(in, width, count, out, 2, to_float, float_to_bfloat16_bits);
    }
    return convert_with(in, width, count, out, 4, to_float, same);
  };
  if (from == DType::F16) return with_source(half_bits_to_float, 2);
  if (from == DType::BF16) return with_source(widen, 2);
  return with_source(same, 4);
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
