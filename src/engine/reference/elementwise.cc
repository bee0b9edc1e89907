// Operations that compute each element from the elements at the same place, with NumPy's
// broadcasting. All arithmetic is in fp32 or int32 (wrapping); rounding to fp16 is emit()'s task.
//
// Functions of one element and of two stand in two tables: a row is an operation and its formula.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels.h"
#include "engine/strided.h"
#include "engine/truncate.h"
#include "mil/op_table.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Elements worth a thread of their own: for an addition, and for an exponential.
constexpr int64_t kElementwiseGrain = 1 << 15;
constexpr int64_t kExpGrain = 1 << 12;

// Wraps where int32 would overflow.
int32_t wrapped(int64_t value) { return static_cast<int32_t>(value); }

int64_t elements(const mil::Value& value) {
  int64_t count = 1;
  for (const int64_t dim : value.type.shape) count *= dim;
  return count;
}

// --- Functions of one element ---

// A function over n elements, and what it takes besides: constants in the order of the op table.
using FloatRun = void (*)(const float* x, int64_t n, float a, float b, float* out);
using IntRun = void (*)(const int32_t* x, int64_t n, int32_t a, int32_t* out);

struct Unary {
  std::string_view op;
  FloatRun floats;
  IntRun ints;      // null: never of integers
  int64_t grain;    // elements worth a thread of their own
  double fallback;  // the constant's value when it is absent
};

// f(x), f(x, a) or f(x, a, b), whichever F takes.
template <class F, class T>
auto call(T x, T a, T b) {
  if constexpr (std::is_invocable_v<F, T, T, T>) {
    return F{}(x, a, b);
  } else if constexpr (std::is_invocable_v<F, T, T>) {
    return F{}(x, a);
  } else {
    return F{}(x);
  }
}

template <class F>
void run_floats(const float* x, int64_t n, float a, float b, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = call<F, float>(x[i], a, b);
}

template <class F>
void run_ints(const int32_t* x, int64_t n, int32_t a, int32_t* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = wrapped(call<F, int64_t>(x[i], a, 0));
}

// A row for floats.
template <class F>
constexpr Unary floats(std::string_view op, F, int64_t grain = kElementwiseGrain,
                       double fallback = 0) {
  return {op, run_floats<F>, nullptr, grain, fallback};
}
// A row for floats and, in 64 bits and wrapped, for integers.
template <class F>
constexpr Unary numbers(std::string_view op, F) {
  return {op, run_floats<F>, run_ints<F>, kElementwiseGrain, 0};
}
// A row for floats and, by another formula, for integers.
template <class F, class G>
constexpr Unary numbers(std::string_view op, F, G) {
  return {op, run_floats<F>, run_ints<G>, kExpGrain, 0};
}

// NaN is neither below nor above: it stays.
float at_least(float x, float low) { return x < low ? low : x; }
float at_most(float x, float high) { return x > high ? high : x; }
float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }
float softplus(float x) { return std::log1p(std::exp(-std::abs(x))) + at_least(x, 0); }

constexpr Unary kUnary[] = {
    numbers("abs", [](auto x) { return std::abs(x); }),
    floats(
        "acos", [](float x) { return std::acos(x); }, kExpGrain),
    floats(
        "asin", [](float x) { return std::asin(x); }, kExpGrain),
    floats(
        "atan", [](float x) { return std::atan(x); }, kExpGrain),
    floats(
        "atanh", [](float x) { return std::atanh(x); }, kExpGrain),
    floats("ceil", [](float x) { return std::ceil(x); }),
    floats("clamped_relu", [](float x, float a, float b) { return at_most(x < 0 ? a * x : x, b); }),
    floats("clip", [](float x, float a, float b) { return at_most(at_least(x, a), b); }),
    floats(
        "cos", [](float x) { return std::cos(x); }, kExpGrain),
    floats(
        "cosh", [](float x) { return std::cosh(x); }, kExpGrain),
    floats(
        "elu", [](float x, float a) { return x > 0 ? x : a * std::expm1(x); }, kExpGrain),
    floats(
        "erf", [](float x) { return std::erf(x); }, kExpGrain),
    floats(
        "exp", [](float x) { return std::exp(x); }, kExpGrain),
    numbers(
        "exp2", [](float x) { return std::exp2(x); },
        [](int64_t x) { return x < 0 || x > 31 ? int64_t{0} : int64_t{1} << x; }),
    floats("floor", [](float x) { return std::floor(x); }),
    floats(
        "gelu", [](float x) { return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f)); },
        kExpGrain),
    floats(
        "gelu SIGMOID_APPROXIMATION", [](float x) { return x * sigmoid(1.702f * x); }, kExpGrain),
    floats(
        "gelu TANH_APPROXIMATION",
        [](float x) {
          return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        },
        kExpGrain),
    floats(
        "inverse", [](float x, float epsilon) { return 1.0f / (x + epsilon); }, kElementwiseGrain,
        1e-4),
    floats("leaky_relu", [](float x, float a) { return x < 0 ? a * x : x; }),
    floats("linear_activation", [](float x, float a, float b) { return a * x + b; }),
    floats(
        "log", [](float x, float epsilon) { return std::log(x + epsilon); }, kExpGrain, 1e-45),
    {"logical_not", nullptr, run_ints<decltype([](int64_t x) { return int64_t{x == 0}; })>,
     kElementwiseGrain, 0},
    floats("prelu", [](float x, float a) { return x < 0 ? a * x : x; }),
    floats("relu", [](float x) { return at_least(x, 0); }),
    floats("relu6", [](float x) { return at_most(at_least(x, 0), 6); }),
    floats("round", [](float x) { return std::nearbyint(x); }),
    floats(
        "rsqrt", [](float x, float epsilon) { return 1.0f / std::sqrt(x + epsilon); },
        kElementwiseGrain, 1e-12),
    floats(
        "scaled_tanh", [](float x, float a, float b) { return a * std::tanh(b * x); }, kExpGrain),
    floats(
        "sigmoid", [](float x) { return sigmoid(x); }, kExpGrain),
    floats("sigmoid_hard",
           [](float x, float a, float b) { return at_most(at_least(a * x + b, 0), 1); }),
    numbers("sign", [](auto x) { return x > 0   ? decltype(x){1}
                                        : x < 0 ? decltype(x){-1}
                                                : x; }),
    floats(
        "silu", [](float x) { return x / (1.0f + std::exp(-x)); }, kExpGrain),
    floats(
        "sin", [](float x) { return std::sin(x); }, kExpGrain),
    floats(
        "sinh", [](float x) { return std::sinh(x); }, kExpGrain),
    floats(
        "softplus", [](float x) { return softplus(x); }, kExpGrain),
    floats(
        "softplus_parametric", [](float x, float a, float b) { return a * softplus(b * x); },
        kExpGrain),
    floats("softsign", [](float x) { return x / (1.0f + std::abs(x)); }),
    floats("sqrt", [](float x) { return std::sqrt(x); }),
    numbers("square", [](auto x) { return x * x; }),
    floats(
        "tan", [](float x) { return std::tan(x); }, kExpGrain),
    floats(
        "tanh", [](float x) { return std::tanh(x); }, kExpGrain),
    numbers("threshold", [](auto x, auto a) { return x < a ? a : x; }),
    floats("thresholded_relu", [](float x, float a) { return x < a ? 0.0f : x; }),
};
constexpr bool by_unary_op(const Unary& a, const Unary& b) { return a.op < b.op; }
static_assert(std::is_sorted(std::begin(kUnary), std::end(kUnary), by_unary_op));

const Unary& unary(std::string_view op) {
  return *std::lower_bound(std::begin(kUnary), std::end(kUnary), op,
                           [](const Unary& row, std::string_view name) { return row.op < name; });
}

// The constant that the op table lists at `index`, or nothing when the operation has fewer.
Result<double> constant_at(const mil::Op& op, size_t index, double fallback) {
  const auto params = mil::find_op(op.type)->params;
  if (index >= params.size()) return 0.0;
  return mil::number_param(op, params[index].name, fallback);
}

Status lower_function(const mil::Op& op, Lowering& lowering, const Unary& function, double a,
                      double b) {
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  const int64_t count = elements(*op.result());
  const bool is_floats = is_float(op.result()->type.dtype);
  lowering.emit(op, [=, &function](const Frame& frame) -> Status {
    frame.pool.parallel_for(count, function.grain, [&](int64_t begin, int64_t end) {
      if (is_floats) {
        function.floats(frame.floats(x) + begin, end - begin, static_cast<float>(a),
                        static_cast<float>(b), frame.floats(result) + begin);
      } else {
        function.ints(frame.ints(x) + begin, end - begin, static_cast<int32_t>(a),
                      frame.ints(result) + begin);
      }
    });
    return {};
  });
  return {};
}

// --- Functions of two elements ---

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
Status lower_pairs(const mil::Op& op, Lowering& lowering) {
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
      frame.pool.parallel_for(length, kElementwiseGrain, [&](int64_t begin, int64_t end) {
        binary_run(a + begin * as, as, b + begin * bs, bs, end - begin, out + begin, F{});
      });
      return {};
    }
    const auto steps = loop.steps();
    frame.pool.parallel_for(
        loop.runs(), std::max<int64_t>(kElementwiseGrain / length, 1),
        [&](int64_t first, int64_t last) {
          loop.walk(first, last, [&](int64_t run, const StridedLoop<2>::Offsets& at) {
            binary_run(a + at[0], steps[0], b + at[1], steps[1], length, out + run * length, F{});
          });
        });
    return {};
  });
  return {};
}

using Lower = Status (*)(const mil::Op&, Lowering&);
struct Binary {
  std::string_view op;
  Lower floats;  // null: never of floats
  Lower ints;
};

// The function of integers in 64 bits, wrapped.
template <class F>
struct Wrapped {
  int32_t operator()(int32_t a, int32_t b) const { return wrapped(F{}(int64_t{a}, int64_t{b})); }
};

template <class F>
constexpr Binary same(std::string_view op, F) {
  return {op, lower_pairs<float, float, F>, lower_pairs<int32_t, int32_t, Wrapped<F>>};
}
// Another formula for integers.
template <class F, class G>
constexpr Binary differing(std::string_view op, F, G) {
  return {op, lower_pairs<float, float, F>, lower_pairs<int32_t, int32_t, Wrapped<G>>};
}
template <class F>
constexpr Binary comparison(std::string_view op, F) {
  return {op, lower_pairs<float, int32_t, F>, lower_pairs<int32_t, int32_t, F>};
}
template <class F>
constexpr Binary logical(std::string_view op, F) {
  return {op, nullptr, lower_pairs<int32_t, int32_t, F>};
}

// Quotients round towards minus infinity and remainders have the divisor's sign, as in Python;
// the quotient of integers and their remainder by 0 are 0, as in NumPy.
float floor_div(float a, float b) {
  if (b == 0) return a / b;
  const float rest = std::fmod(a, b);
  float quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0f, a / b);
  const float below = std::floor(quotient);
  return quotient - below > 0.5f ? below + 1 : below;
}
float mod(float a, float b) {
  const float rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
int64_t floor_div(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}
int64_t mod(int64_t a, int64_t b) { return b == 0 ? 0 : a - floor_div(a, b) * b; }

// A power of integers; the part of it below 1 is lost.
int64_t integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 1 || base == -1) return exponent % 2 == 0 ? 1 : base;
    return 0;
  }
  uint64_t result = 1, square = static_cast<uint64_t>(base);
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result *= square;
    square *= square;
  }
  return static_cast<int64_t>(result);
}

constexpr Binary kBinary[] = {
    same("add", [](auto a, auto b) { return a + b; }),
    comparison("equal", [](auto a, auto b) { return a == b; }),
    same("floor_div", [](auto a, auto b) { return floor_div(a, b); }),
    comparison("greater", [](auto a, auto b) { return a > b; }),
    comparison("greater_equal", [](auto a, auto b) { return a >= b; }),
    comparison("less", [](auto a, auto b) { return a < b; }),
    comparison("less_equal", [](auto a, auto b) { return a <= b; }),
    logical("logical_and", [](int32_t a, int32_t b) { return a != 0 && b != 0; }),
    logical("logical_or", [](int32_t a, int32_t b) { return a != 0 || b != 0; }),
    logical("logical_xor", [](int32_t a, int32_t b) { return (a != 0) != (b != 0); }),
    // A NaN on either side is the result.
    same("maximum", [](auto a, auto b) { return a > b || a != a ? a : b; }),
    same("minimum", [](auto a, auto b) { return a < b || a != a ? a : b; }),
    same("mod", [](auto a, auto b) { return mod(a, b); }),
    same("mul", [](auto a, auto b) { return a * b; }),
    comparison("not_equal", [](auto a, auto b) { return a != b; }),
    differing(
        "pow", [](float a, float b) { return std::pow(a, b); },
        [](int64_t a, int64_t b) { return integer_power(a, b); }),
    differing(
        "real_div", [](float a, float b) { return a / b; },
        [](int64_t a, int64_t b) { return b == 0 ? int64_t{0} : a / b; }),
    same("sub", [](auto a, auto b) { return a - b; }),
};
constexpr bool by_binary_op(const Binary& a, const Binary& b) { return a.op < b.op; }
static_assert(std::is_sorted(std::begin(kBinary), std::end(kBinary), by_binary_op));

// result[i] = f(x[i]), where From and To are float or int32_t.
template <class From, class To, class F>
Status lower_conversion(const mil::Op& op, Lowering& lowering, F f) {
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  const int64_t count = elements(*op.result());
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const From* from = reinterpret_cast<const From*>(frame.bytes(x));
    To* to = reinterpret_cast<To*>(frame.bytes(result));
    frame.pool.parallel_for(count, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = f(from[i]);
    });
    return {};
  });
  return {};
}

}  // namespace

Status lower_unary(const mil::Op& op, Lowering& lowering) {
  const Unary& function = unary(op.type);
  const double a = TRY(constant_at(op, 1, function.fallback)), b = TRY(constant_at(op, 2, 0));
  return lower_function(op, lowering, function, a, b);
}

Status lower_gelu(const mil::Op& op, Lowering& lowering) {
  const std::string mode = TRY(mil::string_param(op, "mode", "EXACT"));
  return lower_function(op, lowering, unary(mode == "EXACT" ? "gelu" : "gelu " + mode), 0, 0);
}

// The function with constants of its own for each channel: x is [n, channels, ...].
Status lower_channels(const mil::Op& op, Lowering& lowering) {
  const Unary& function = unary(op.type);
  const Shape& shape = op.operand("x")->type.shape;
  const mil::Value* beta_value = op.operand("beta");
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place alpha = TRY(lowering.cells(*op.operand("alpha")));
  const Place beta = beta_value == nullptr ? alpha : TRY(lowering.cells(*beta_value));
  const Place result = TRY(lowering.result(*op.result()));
  const int64_t channels = shape[1], rows = shape[0] * channels;
  const int64_t inner = elements(*op.result()) / rows;
  lowering.emit(op, [=, &function](const Frame& frame) -> Status {
    const auto grain = std::max<int64_t>(function.grain / inner, 1);
    frame.pool.parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t channel = row % channels;
        function.floats(frame.floats(x) + row * inner, inner, frame.floats(alpha)[channel],
                        frame.floats(beta)[channel], frame.floats(result) + row * inner);
      }
    });
    return {};
  });
  return {};
}

Status lower_binary(const mil::Op& op, Lowering& lowering) {
  const Binary& row =
      *std::lower_bound(std::begin(kBinary), std::end(kBinary), std::string_view(op.type),
                        [](const Binary& b, std::string_view name) { return b.op < name; });
  const bool floats = is_float(op.operand("x")->type.dtype);
  return (floats ? row.floats : row.ints)(op, lowering);
}

Status lower_cast(const mil::Op& op, Lowering& lowering) {
  const DType from = op.operand("x")->type.dtype;
  const DType to = op.result()->type.dtype;
  if (is_float(from) && is_float(to)) {
    // Exact but for the rounding that emit() adds; without that, the same elements.
    if (to == DType::F16 && from != to && lowering.numerics() == Numerics::Typed) {
      return lower_conversion<float, float>(op, lowering, [](float a) { return a; });
    }
    lowering.alias(*op.result(), *op.operand("x"));
    return {};
  }
  if (is_float(from)) {
    return lower_conversion<float, int32_t>(op, lowering,
                                            [to](float a) { return truncate(to, a); });
  }
  if (is_float(to)) {
    return lower_conversion<int32_t, float>(op, lowering,
                                            [](int32_t a) { return static_cast<float>(a); });
  }
  return lower_conversion<int32_t, int32_t>(op, lowering, [to](int32_t a) { return wrap(to, a); });
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
