// The operations that compute, by family: functions, rows, products, recurrent layers.
#include <cmath>
#include <limits>

#include "example.h"

namespace diptych::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Functions, OfOneElement) {
  const Tensor x = floats({6}, {-2, -0.5f, 0, 0.25f, 3, kNaN});
  const auto each = [&](std::string_view op, double (*f)(double), double tolerance = 2e-7) {
    std::vector<double> expected;
    for (const float v : x.floats()) expected.push_back(f(v));
    check({"fp32[6]", fmt::format("{}(x=%a)", op), {x}, {expected}, tolerance});
  };
  each("exp", [](double v) { return std::exp(v); });
  each("exp2", [](double v) { return std::exp2(v); });
  each("sin", [](double v) { return std::sin(v); });
  each("cos", [](double v) { return std::cos(v); });
  each(
      "tan", [](double v) { return std::tan(v); }, 1e-6);
  each("sinh", [](double v) { return std::sinh(v); });
  each("cosh", [](double v) { return std::cosh(v); });
  each("tanh", [](double v) { return std::tanh(v); });
  each("atan", [](double v) { return std::atan(v); });
  each("erf", [](double v) { return std::erf(v); });
  each("asin", [](double v) { return std::asin(v); });
  each("acos", [](double v) { return std::acos(v); });
  each("atanh", [](double v) { return std::atanh(v); });
  each("floor", [](double v) { return std::floor(v); });
  each("ceil", [](double v) { return std::ceil(v); });
  each("relu", [](double v) { return v < 0 ? 0 : v; });
  each("softplus", [](double v) { return std::log1p(std::exp(v)); });
  each("softsign", [](double v) { return v / (1 + std::abs(v)); });
  each("gelu", [](double v) { return v * 0.5 * std::erfc(-v / std::sqrt(2.0)); });
  each("sign", [](double v) { return v > 0 ? 1 : v < 0 ? -1 : v; });
  check({"fp32[4]", "round(x=%a)", {floats({4}, {0.5f, 1.5f, -2.5f, 2.4f})}, {{0, 2, -2, 2}}});
  check({"fp32[3]", "relu6(x=%a)", {floats({3}, {-1, 5, 7})}, {{0, 5, 6}}});
  check({"int32[3]", "sign(x=%a)", {ints({3}, {-7, 0, 9})}, {{-1, 0, 1}}});
  check({"int32[3]", "exp2(x=%a)", {ints({3}, {-1, 0, 10})}, {{0, 1, 1024}}});
  check({"bool[2]", "logical_not(x=%a)", {ints({2}, {0, 1}, DType::Bool)}, {{1, 0}}});
}

TEST(Functions, WithConstants) {
  const Tensor x = floats({5}, {-2, -0.5f, 0, 1, kNaN});
  const auto expect = [&](std::string_view op, std::vector<double> expected) {
    expected.push_back(kNaN);
    check({"fp32[5]", std::string(op), {x}, {expected}});
  };
  expect("clip(x=%a, alpha=fp32(-1), beta=fp32(0.5))", {-1, -0.5, 0, 0.5});
  expect("threshold(x=%a, alpha=fp32(-0.25))", {-0.25, -0.25, 0, 1});
  expect("thresholded_relu(x=%a, alpha=fp32(-0.5))", {0, -0.5, 0, 1});
  expect("leaky_relu(x=%a, alpha=fp32(0.1))", {-0.2, -0.05, 0, 1});
  expect("elu(x=%a, alpha=fp32(2))", {2 * std::expm1(-2), 2 * std::expm1(-0.5), 0, 1});
  expect("clamped_relu(x=%a, alpha=fp32(3), beta=fp32(0.5))", {-6, -1.5, 0, 0.5});
  expect("linear_activation(x=%a, alpha=fp32(2), beta=fp32(1))", {-3, 0, 1, 3});
  expect("sigmoid_hard(x=%a, alpha=fp32(0.5), beta=fp32(0.5))", {0, 0.25, 0.5, 1});
  expect("scaled_tanh(x=%a, alpha=fp32(2), beta=fp32(0.5))",
         {2 * std::tanh(-1), 2 * std::tanh(-0.25), 0, 2 * std::tanh(0.5)});
  expect("inverse(x=%a, epsilon=fp32(1))", {-1, 2, 1, 0.5});
  expect("gelu(x=%a, mode=\"SIGMOID_APPROXIMATION\")",
         {-2 / (1 + std::exp(3.404)), -0.5 / (1 + std::exp(0.851)), 0, 1 / (1 + std::exp(-1.702))});
  check({"fp32[2]", "log(x=%a, epsilon=fp32(0))", {floats({2}, {0, 1})}, {{-kInfinity, 0}}});
  check({"int32[3]", "threshold(x=%a, alpha=int32(2))", {ints({3}, {1, 2, 3})}, {{2, 2, 3}}});
  // A constant for each channel.
  check({"fp32[1,2,2]",
         "prelu(x=%a, alpha=fp32[2](0.5,2))",
         {floats({1, 2, 2}, {-1, 1, -1, 1})},
         {{-0.5, 1, -2, 1}}});
  check({"fp32[1,2,1]",
         "softplus_parametric(x=%a, alpha=fp32[2](1,2), beta=fp32[2](1,-1))",
         {floats({1, 2, 1}, {1, 1})},
         {{std::log1p(std::exp(1)), 2 * std::log1p(std::exp(-1))}}});
}

TEST(Functions, OfTwoElements) {
  const Tensor x = floats({6}, {7, -7, 7, -7, 1, kNaN}), y = floats({6}, {2, 2, -2, -2, 0, 1});
  const auto expect = [&](std::string_view op, std::vector<double> expected) {
    check({"fp32[6]", fmt::format("{}(x=%a, y=%b)", op), {x, y}, {std::move(expected)}});
  };
  expect("floor_div", {3, -4, -4, 3, kInfinity, kNaN});
  expect("mod", {1, 1, -1, -1, kNaN, kNaN});
  expect("maximum", {7, 2, 7, -2, 1, kNaN});
  expect("minimum", {2, -7, -2, -7, 0, kNaN});
  expect("pow", {49, 49, 1.0 / 49, 1.0 / 49, 1, kNaN});
  const Tensor i = ints({5}, {7, -7, 7, -7, 5}), j = ints({5}, {2, 2, -2, -2, 0});
  const auto of_ints = [&](std::string_view op, std::vector<double> expected) {
    check({"int32[5]", fmt::format("{}(x=%a, y=%b)", op), {i, j}, {std::move(expected)}});
  };
  of_ints("floor_div", {3, -4, -4, 3, 0});
  of_ints("mod", {1, 1, -1, -1, 0});
  of_ints("real_div", {3, -3, -3, 3, 0});
  of_ints("pow", {49, 49, 0, 0, 1});
  // The quotient that no integer of 32 bits is wraps.
  check({"int32[1]",
         "floor_div(x=%a, y=%b)",
         {ints({1}, {INT32_MIN}), ints({1}, {-1})},
         {{static_cast<double>(INT32_MIN)}}});
  const auto compare = [&](std::string_view op, std::vector<double> expected) {
    check({"bool[3]",
           fmt::format("{}(x=%a, y=fp32(1))", op),
           {floats({3}, {0, 1, kNaN})},
           {std::move(expected)}});
  };
  compare("less", {1, 0, 0});
  compare("less_equal", {1, 1, 0});
  compare("greater", {0, 0, 0});
  compare("equal", {0, 1, 0});
  compare("not_equal", {1, 0, 1});
  const Tensor p = ints({4}, {0, 0, 1, 1}, DType::Bool), q = ints({4}, {0, 1, 0, 1}, DType::Bool);
  check({"bool[4]", "logical_and(x=%a, y=%b)", {p, q}, {{0, 0, 0, 1}}});
  check({"bool[4]", "logical_or(x=%a, y=%b)", {p, q}, {{0, 1, 1, 1}}});
  check({"bool[4]", "logical_xor(x=%a, y=%b)", {p, q}, {{0, 1, 1, 0}}});
}

TEST(Rows, Reductions) {
  const Tensor x = floats({2, 3}, {1, -2, 3, 4, 0, kNaN});
  const auto expect = [&](std::string_view op, double first, double second) {
    check({"fp32[2]", fmt::format("{}(x=%a, axes=int32[1](1))", op), {x}, {{first, second}}});
  };
  expect("reduce_min", -2, kNaN);
  expect("reduce_max", 3, kNaN);
  expect("reduce_prod", -6, kNaN);
  expect("reduce_l1_norm", 6, kNaN);
  expect("reduce_l2_norm", std::sqrt(14), kNaN);
  expect("reduce_sum_square", 14, kNaN);
  expect("reduce_log_sum", std::log(2), kNaN);
  expect("reduce_log_sum_exp", std::log(std::exp(1) + std::exp(-2) + std::exp(3)), kNaN);
  check({"fp32[1]",
         "reduce_log_sum_exp(x=%a, axes=int32[1](1))",
         {floats({1, 2}, {1000, 1000})},
         {{1000 + std::log(2)}}});
  const Tensor i = ints({2, 3}, {5, -2, 4, 1, 1, 1});
  const auto of_ints = [&](std::string_view op, double first, double second) {
    check({"int32[2]", fmt::format("{}(x=%a, axes=int32[1](1))", op), {i}, {{first, second}}});
  };
  of_ints("reduce_sum", 7, 3);
  of_ints("reduce_mean", 2, 1);
  of_ints("reduce_max", 5, 1);
  of_ints("reduce_min", -2, 1);
  of_ints("reduce_prod", -40, 1);
  of_ints("reduce_l1_norm", 11, 3);
  of_ints("reduce_sum_square", 45, 3);
  of_ints("reduce_l2_norm", 6, 1);
  check({"int32[3]",
         "reduce_argmax(x=%a, axis=int32(0))",
         {floats({2, 3}, {1, 5, 2, 3, 5, kNaN})},
         {{1, 0, 1}}});
  check({"int32[2]", "reduce_argmin(x=%a)", {i}, {{1, 0}}});
}

TEST(Rows, SumsAndSorting) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 10, 20, 30});
  check({"fp32[2,3]", "cumsum(x=%a, axis=int32(1))", {x}, {{1, 3, 6, 10, 30, 60}}});
  check({"fp32[2,3]", "cumsum(x=%a, axis=int32(0))", {x}, {{1, 2, 3, 11, 22, 33}}});
  check({"fp32[2,3]",
         "cumsum(x=%a, axis=int32(1), exclusive=bool(true), reverse=bool(true))",
         {x},
         {{5, 3, 0, 50, 30, 0}}});
  check({"int32[2]",
         "cumsum(x=%a)",
         {ints({2}, {INT32_MAX, 1})},
         {{INT32_MAX, static_cast<double>(INT32_MIN)}}});
  const Tensor y = floats({2, 3}, {2, kNaN, 2, 1, 5, 3});
  check({"int32[2,3]", "argsort(x=%a)", {y}, {{0, 2, 1, 1, 2, 0}}});
  check({"int32[2,3]", "argsort(x=%a, ascending=bool(true))", {y}, {{0, 2, 1, 0, 2, 1}}});
  check({"int32[2,3]",
         "argsort(x=%a, axis=int32(0), ascending=bool(true))",
         {y},
         {{1, 1, 0, 0, 0, 1}}});
  check({"fp32[2,2];int32[2,2]", "topk(x=%a, k=int32(2))", {y}, {{2, 2, 5, 3}, {0, 2, 1, 2}}});
  check({"uint8[1]",
         "topk(x=%a, return_indices=bool(false))",
         {ints({3}, {4, 200, 7}, DType::UInt8)},
         {{200}}});
}

TEST(Rows, Norms) {
  const Tensor x = floats({1, 2, 2}, {1, 3, -2, 2});
  check({"fp32[1,2,2]",
         "layer_norm(x=%a, axes=int32[1](-1), gamma=fp32[2](2,1), beta=fp32[2](0,10), "
         "epsilon=fp32(0))",
         {x},
         {{-2, 11, -2, 11}}});
  check({"fp32[1,2,2]",
         "instance_norm(x=%a, gamma=fp32[2](2,1), beta=fp32[2](0,10), epsilon=fp32(0))",
         {x},
         {{-2, 2, 9, 11}}});
  check({"fp32[1,2,2]",
         "batch_norm(x=%a, mean=fp32[2](1,0), variance=fp32[2](3,0), gamma=fp32[2](2,1), "
         "epsilon=fp32(1))",
         {x},
         {{0, 2, -2, 2}}});
  check({"fp32[1,2,2]",
         "l2_norm(x=%a, epsilon=fp32(0))",
         {x},
         {{1 / std::sqrt(18), 3 / std::sqrt(18), -2 / std::sqrt(18), 2 / std::sqrt(18)}}});
  check({"fp32[1,2,1,2]",
         "local_response_norm(x=%a, size=int32(3), alpha=fp32(3), beta=fp32(1), k=fp32(1))",
         {floats({1, 2, 1, 2}, {1, 3, -2, 2})},
         {{1.0 / 6, 3.0 / 14, -2.0 / 6, 2.0 / 14}}});
  check({"fp32[1,2,1,2]",
         "local_response_norm(x=%a, size=int32(2), alpha=fp32(2), beta=fp32(1), k=fp32(1))",
         {floats({1, 2, 1, 2}, {1, 3, -2, 2})},
         {{1.0 / 2, 3.0 / 10, -2.0 / 6, 2.0 / 14}}});
  // In rank 3 the first axis counts as that of channels.
  check({"fp32[1,2,2]",
         "local_response_norm(x=%a, size=int32(3), alpha=fp32(3), beta=fp32(1), k=fp32(1))",
         {x},
         {{1.0 / 2, 3.0 / 10, -2.0 / 5, 2.0 / 5}}});
}

TEST(Products, OfVectorsAndIntegers) {
  check({"fp32[2]",
         "matmul(x=%a, y=%b)",
         {floats({2}, {1, 2}), floats({2, 2}, {1, 2, 3, 4})},
         {{7, 10}}});
  check({"int32[1,2]",
         "matmul(x=%a, y=%b, transpose_y=bool(true))",
         {ints({1, 2}, {1, 2}), ints({2, 2}, {1, 2, 3, 4})},
         {{5, 11}}});
  check({"int32[1,2]",
         "linear(x=%a, weight=int32[2,2](1,2,3,4), bias=int32[2](10,20))",
         {ints({1, 2}, {1, 2})},
         {{15, 31}}});
  check({"fp16[1,1]",
         "matmul(x=%a, y=fp32[2,1](1,0.5))",
         {floats({1, 2}, {1, 2}, DType::F16)},
         {{2}}});
  // chw,whr->chr with one h for all
  check({"fp32[1,2,1]",
         "einsum(values=[%a, %b], equation=\"chw,whr->chr\")",
         {floats({1, 2, 2}, {1, 2, 3, 4}), floats({2, 1, 1}, {10, 100})},
         {{210, 430}}});
}

TEST(Products, ConvolutionsOfCodes) {
  const Tensor x = floats({1, 1, 2}, {1, 10});
  // [-1, 0.5] and [8, 2.5], then biases of the result's channels.
  check({"fp32[1,2,1]",
         "conv_quantized(x=%a, weight=uint8[2,1,2](0,3,6,1), bias=fp32[2](0.25,-1), "
         "quantization_type=\"linear\", quant_scale=fp32[2](0.5,1.1), "
         "quant_bias=fp32[2](-1,1.4))",
         {x},
         {{4 + 0.25, 33 - 1}}});
  // One scale for all channels, a bias of integers, and as many channels as the fast path wants.
  check({"fp32[1,8,1]",
         "conv_quantized(x=%a, weight=uint8[8,1,2](0,1,1,0,2,0,0,2,255,0,0,0,0,0,0,1), "
         "bias=uint8[8](0,0,0,0,0,0,7,0), quantization_type=\"linear\", nbits=int32(8), "
         "quant_scale=fp32(2), quant_bias=fp32(1))",
         {x},
         {{31, 13, 15, 51, 521, 11, 18, 31}}});
}

TEST(Rows, Classes) {
  check({"int32;fp32[3]",
         "classify(probabilities=%a)",
         {floats({1, 3}, {0.25f, 0.5f, 0.25f})},
         {{1}, {0.25, 0.5, 0.25}}});
  check({"int32;fp32[2]",
         "classify(probabilities=%a)",
         {floats({2}, {0.5f, 0.5f})},
         {{0}, {0.5, 0.5}}});
}

TEST(Products, Attention) {
  const Tensor query = floats({1, 2, 1}, {0, 1}), key = floats({1, 2, 1}, {1, 3}),
               value = floats({1, 2, 1}, {10, 20});
  const double weight = 1 / (1 + std::exp(2));
  check({"fp32[1,2,1]",
         "scaled_dot_product_attention(query=%a, key=%b, value=%c)",
         {query, key, value},
         {{15, 20 - 10 * weight}}});
  check({"fp32[1,2,1]",
         "scaled_dot_product_attention(query=%a, key=%b, value=%c, attn_mask=%d)",
         {query, key, value, ints({2, 2}, {1, 0, 0, 1}, DType::Bool)},
         {{10, 20}}});
}

TEST(Recurrent, Layers) {
  // One step forward: h = tanh(1 * x + 1 * h).
  const double first = std::tanh(0.5), second = std::tanh(1 + first);
  check({"fp32[2,1,1];fp32[1,1]",
         "rnn(x=%a, initial_h=fp32[1,1](0), weight_ih=fp32[1,1](1), weight_hh=fp32[1,1](1), "
         "output_sequence=bool(true))",
         {floats({2, 1, 1}, {0.5f, 1})},
         {{first, second}, {second}}});
  const double last = std::tanh(1), before = std::tanh(0.5 + last);
  check({"fp32[2,1,1];fp32[1,1]",
         "rnn(x=%a, initial_h=fp32[1,1](0), weight_ih=fp32[1,1](1), weight_hh=fp32[1,1](1), "
         "output_sequence=bool(true), direction=\"reverse\")",
         {floats({2, 1, 1}, {0.5f, 1})},
         {{last, before}, {before}}});
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  // Gates in the order reset, output, update; the reset gate before and after the product.
  for (const bool after : {false, true}) {
    const double r = sigmoid(1 + 0.5), z = sigmoid(3 + 1.5);
    const double o = after ? std::tanh(2 + r * (0.5 + 0.1)) : std::tanh(2 + r * 0.5 + 0.1);
    const double h = (1 - z) * o + z * 0.5;
    check({"fp32[1,1,1];fp32[1,1]",
           fmt::format("gru(x=%a, initial_h=fp32[1,1](0.5), weight_ih=fp32[3,1](1,2,3), "
                       "weight_hh=fp32[3,1](1,1,3), bias=fp32[3](0,0.1,0), reset_after=bool({}))",
                       after),
           {floats({1, 1, 1}, {1})},
           {{h}, {h}}});
  }
  const double c = sigmoid(2) * 0.5 + sigmoid(1) * std::tanh(4), h = sigmoid(3) * std::tanh(c);
  check({"fp32[1,1,1];fp32[1,1];fp32[1,1]",
         "lstm(x=%a, initial_h=fp32[1,1](0), initial_c=fp32[1,1](0.5), "
         "weight_ih=fp32[4,1](1,2,3,4), weight_hh=fp32[4,1](1,1,1,1))",
         {floats({1, 1, 1}, {1})},
         {{h}, {h}, {c}}});
}

}  // namespace
}  // namespace diptych::engine
