// What products of weights and activations are computed in.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diptych::kernels {

enum class Arithmetic : uint8_t {
  Int4,  // weights of 4 bits by activations of 8
  Int8,  // weights and activations of 8 bits
  Bf16,  // both in bf16
  Fp32,  // both in fp32
};
inline constexpr Arithmetic kArithmetics[] = {Arithmetic::Int4, Arithmetic::Int8, Arithmetic::Bf16,
                                              Arithmetic::Fp32};

// A value for each.
template <class T>
struct ByArithmetic {
  T int4{}, int8{}, bf16{}, fp32{};

  T& operator[](Arithmetic arithmetic) {
    T* const values[] = {&int4, &int8, &bf16, &fp32};
    return *values[static_cast<size_t>(arithmetic)];
  }
  const T& operator[](Arithmetic arithmetic) const {
    return const_cast<ByArithmetic&>(*this)[arithmetic];
  }
  bool operator==(const ByArithmetic&) const = default;
};

template <class T>
T sum(const ByArithmetic<T>& values) {
  T all{};
  for (const Arithmetic arithmetic : kArithmetics) all += values[arithmetic];
  return all;
}

}  // namespace diptych::kernels
