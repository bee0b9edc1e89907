// Operations that compute each element from the elements at the same place, with NumPy's
// broadcasting. All arithmetic is in fp32 or int32 (wrapping); rounding to fp16 is emit()'s task.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels.h"
#include "engine/strided.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Elements worth a thread of their own: for an addition, and for an exponential.
constexpr int64_t kGrain = 1 << 15;
constexpr int64_t kExpGrain = 1 << 12;

// Wraps where int32 would overflow.
int32_t wrapped(int64_t value) { return static_cast<int32_t>(value); }

int64_t elements(const mil::Value& value) {
  int64_t count = 1;
  for (const int64_t dim : value.type.shape) count *= dim;
  return count;
}

// result[i] = f(x[i]), where From and To are float or int32_t.
template <class From, class To, class F>
Status lower_unary(const mil::Op& op, Lowering& lowering, int64_t grain, F f) {
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  const int64_t count = elements(*op.result());
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const From* from = reinterpret_cast<const From*>(frame.bytes(x));
    To* to = reinterpret_cast<To*>(frame.bytes(result));
    frame.pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = f(from[i]);
    });
    return {};
  });
  return {};
}

// out[i] = f(x[i * x_step], y[i * y_step]) for i < n, where the steps are 0 or 1.
template <class From, class To, class F>
void binary_run(const From* x, int64_t x_step, const From* y, int64_t y_step, int64_t n, To* out,
                F f) {
  if (x_step == 1 && y_step == 1) {
    for (int64_t i = 0; i < n; ++i) out[i] = f(x[i], y[i]);
  } else if (x_step == 1) {
    const From b = *y;
    for (int64_t i = 0; i < n; ++i) out[i] = f(x[i], b);
  } else if (y_step == 1) {
    const From a = *x;
    for (int64_t i = 0; i < n; ++i) out[i] = f(a, y[i]);
  } else {  // only a single element is broadcast in both
    out[0] = f(*x, *y);
  }
}

// result = f(x, y).
template <class From, class To, class F>
Status lower_binary(const mil::Op& op, Lowering& lowering, F f) {
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place y = TRY(lowering.cells(*op.operand("y")));
  const Place result = TRY(lowering.result(*op.result()));
  const Shape& shape = op.result()->type.shape;
  const StridedLoop<2> loop(shape, {broadcast_strides(op.operand("x")->type.shape, shape),
                                    broadcast_strides(op.operand("y")->type.shape, shape)});
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const From* a = reinterpret_cast<const From*>(frame.bytes(x));
    const From* b = reinterpret_cast<const From*>(frame.bytes(y));
    To* out = reinterpret_cast<To*>(frame.bytes(result));
    const int64_t length = loop.run_length();
    const auto [a_step, b_step] = loop.steps();
    if (loop.runs() == 1) {  // divide the run itself
      const int64_t as = a_step, bs = b_step;
      frame.pool.parallel_for(length, kGrain, [&](int64_t begin, int64_t end) {
        binary_run(a + begin * as, as, b + begin * bs, bs, end - begin, out + begin, f);
      });
      return {};
    }
    const auto steps = loop.steps();
    frame.pool.parallel_for(
        loop.runs(), std::max<int64_t>(kGrain / length, 1), [&](int64_t first, int64_t last) {
          loop.walk(first, last, [&](int64_t run, const StridedLoop<2>::Offsets& at) {
            binary_run(a + at[0], steps[0], b + at[1], steps[1], length, out + run * length, f);
          });
        });
    return {};
  });
  return {};
}

// The same function for floats and, in 64 bits and wrapped, for integers.
template <class F>
Status lower_number_binary(const mil::Op& op, Lowering& lowering, F f) {
  if (is_float(op.result()->type.dtype)) {
    return lower_binary<float, float>(op, lowering, [f](float a, float b) { return f(a, b); });
  }
  return lower_binary<int32_t, int32_t>(
      op, lowering, [f](int32_t a, int32_t b) { return wrapped(f(int64_t{a}, int64_t{b})); });
}

template <class F>
Status lower_number_unary(const mil::Op& op, Lowering& lowering, F f) {
  if (is_float(op.result()->type.dtype)) {
    return lower_unary<float, float>(op, lowering, kGrain, [f](float a) { return f(a); });
  }
  return lower_unary<int32_t, int32_t>(op, lowering, kGrain,
                                       [f](int32_t a) { return wrapped(f(int64_t{a})); });
}

template <class F>
Status lower_float_unary(const mil::Op& op, Lowering& lowering, int64_t grain, F f) {
  return lower_unary<float, float>(op, lowering, grain, f);
}

// Truncates; what does not fit becomes the nearest value of the type, NaN becomes 0.
int32_t float_to_int(DType dtype, float value) {
  if (dtype == DType::Bool) return value != 0;
  const bool is_unsigned = dtype == DType::UInt8 || dtype == DType::UInt16;
  const int bits = bit_width(dtype);
  const double low = is_unsigned ? 0 : -std::ldexp(1.0, bits - 1);
  const double high = std::ldexp(1.0, is_unsigned ? bits : bits - 1) - 1;
  if (std::isnan(value)) return 0;
  return static_cast<int32_t>(std::clamp(std::trunc(static_cast<double>(value)), low, high));
}

}  // namespace

Status lower_add(const mil::Op& op, Lowering& lowering) {
  return lower_number_binary(op, lowering, [](auto a, auto b) { return a + b; });
}
Status lower_sub(const mil::Op& op, Lowering& lowering) {
  return lower_number_binary(op, lowering, [](auto a, auto b) { return a - b; });
}
Status lower_mul(const mil::Op& op, Lowering& lowering) {
  return lower_number_binary(op, lowering, [](auto a, auto b) { return a * b; });
}
Status lower_real_div(const mil::Op& op, Lowering& lowering) {
  return lower_binary<float, float>(op, lowering, [](float a, float b) { return a / b; });
}

Status lower_greater_equal(const mil::Op& op, Lowering& lowering) {
  if (is_float(op.operand("x")->type.dtype)) {
    return lower_binary<float, int32_t>(op, lowering, [](float a, float b) { return a >= b; });
  }
  return lower_binary<int32_t, int32_t>(op, lowering, [](int32_t a, int32_t b) { return a >= b; });
}

Status lower_abs(const mil::Op& op, Lowering& lowering) {
  return lower_number_unary(op, lowering, [](auto a) { return std::abs(a); });
}
Status lower_square(const mil::Op& op, Lowering& lowering) {
  return lower_number_unary(op, lowering, [](auto a) { return a * a; });
}
Status lower_sqrt(const mil::Op& op, Lowering& lowering) {
  return lower_float_unary(op, lowering, kGrain, [](float a) { return std::sqrt(a); });
}
Status lower_rsqrt(const mil::Op& op, Lowering& lowering) {
  const auto epsilon = static_cast<float>(TRY(mil::float_param(op, "epsilon", 1e-12)));
  return lower_float_unary(op, lowering, kGrain,
                           [epsilon](float a) { return 1.0f / std::sqrt(a + epsilon); });
}
Status lower_tanh(const mil::Op& op, Lowering& lowering) {
  return lower_float_unary(op, lowering, kExpGrain, [](float a) { return std::tanh(a); });
}
Status lower_gelu(const mil::Op& op, Lowering& lowering) {
  switch (TRY(mil::gelu_mode(op))) {
    case mil::GeluMode::Tanh:
      return lower_float_unary(op, lowering, kExpGrain, [](float a) {
        constexpr float kRoot = 0.7978845608f;  // sqrt(2 / pi)
        return 0.5f * a * (1 + std::tanh(kRoot * (a + 0.044715f * a * a * a)));
      });
    case mil::GeluMode::Sigmoid:
      return lower_float_unary(op, lowering, kExpGrain,
                               [](float a) { return a / (1 + std::exp(-1.702f * a)); });
    case mil::GeluMode::Exact:
      break;
  }
  return lower_float_unary(op, lowering, kExpGrain, [](float a) {
    constexpr float kRoot = 0.7071067812f;  // 1 / sqrt(2)
    return 0.5f * a * (1 + std::erf(kRoot * a));
  });
}
Status lower_sigmoid(const mil::Op& op, Lowering& lowering) {
  return lower_float_unary(op, lowering, kExpGrain,
                           [](float a) { return 1.0f / (1.0f + std::exp(-a)); });
}
Status lower_silu(const mil::Op& op, Lowering& lowering) {
  return lower_float_unary(op, lowering, kExpGrain,
                           [](float a) { return a / (1.0f + std::exp(-a)); });
}

Status lower_cast(const mil::Op& op, Lowering& lowering) {
  const DType from = op.operand("x")->type.dtype;
  const DType to = op.result()->type.dtype;
  if (is_float(from) && is_float(to)) {
    // Exact but for the rounding that emit() adds; without that, the same elements.
    if (to == DType::F16 && from != to && lowering.numerics() == Numerics::Typed) {
      return lower_float_unary(op, lowering, kGrain, [](float a) { return a; });
    }
    lowering.alias(*op.result(), *op.operand("x"));
    return {};
  }
  if (is_float(from)) {
    return lower_unary<float, int32_t>(op, lowering, kGrain,
                                       [to](float a) { return float_to_int(to, a); });
  }
  if (is_float(to)) {
    return lower_unary<int32_t, float>(op, lowering, kGrain,
                                       [](int32_t a) { return static_cast<float>(a); });
  }
  return lower_unary<int32_t, int32_t>(op, lowering, kGrain,
                                       [to](int32_t a) { return wrap(to, a); });
}

Status lower_select(const mil::Op& op, Lowering& lowering) {
  const Place cond = TRY(lowering.cells(*op.operand("cond")));
  const Place a = TRY(lowering.cells(*op.operand("a")));
  const Place b = TRY(lowering.cells(*op.operand("b")));
  const Place result = TRY(lowering.result(*op.result()));
  const Shape& shape = op.result()->type.shape;
  const StridedLoop<3> loop(shape, {broadcast_strides(op.operand("cond")->type.shape, shape),
                                    broadcast_strides(op.operand("a")->type.shape, shape),
                                    broadcast_strides(op.operand("b")->type.shape, shape)});
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int64_t length = loop.run_length();
    const auto steps = loop.steps();
    loop.walk(0, loop.runs(), [&](int64_t run, const StridedLoop<3>::Offsets& at) {
      for (int64_t i = 0; i < length; ++i) {
        const bool chosen = frame.ints(cond)[at[0] + i * steps[0]] != 0;
        const std::byte* from = chosen ? frame.bytes(a) + (at[1] + i * steps[1]) * kCellSize
                                       : frame.bytes(b) + (at[2] + i * steps[2]) * kCellSize;
        std::memcpy(frame.bytes(result) + (run * length + i) * kCellSize, from, kCellSize);
      }
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
