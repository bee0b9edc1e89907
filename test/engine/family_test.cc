// The operations by family, in the text form: examples worked out by hand.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "base/half.h"
#include "engine_test_util.h"
#include "mil/text.h"
#include "testing/shared_data.h"

namespace diptych::engine {
namespace {

using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

// The only function of a program: inputs %a, %b, … and one operation.
std::unique_ptr<mil::Function> function_of(const std::vector<Tensor>& inputs,
                                           std::string_view results, std::string_view op,
                                           std::string_view opset) {
  std::string parameters;
  for (size_t i = 0; i < inputs.size(); ++i) {
    parameters += fmt::format("{}%{}: {}", i == 0 ? "" : ", ", static_cast<char>('a' + i),
                              to_string(inputs[i].type));
  }
  size_t count = 0;
  std::string declarations = "%r0: ";
  for (const char c : results) {
    declarations += c == ';' ? fmt::format(", %r{}: ", ++count) : std::string(1, c);
  }
  auto program = mil::parse(fmt::format("func @main({}) opset \"{}\" {{\n{} = {}\nreturn %r0\n}}",
                                        parameters, opset, declarations, op));
  if (!program) {
    ADD_FAILURE() << program.error().to_string();
    return nullptr;
  }
  auto function = std::move(program->functions.front());
  function->outputs = function->ops.back()->results;
  return function;
}

struct Example {
  std::string_view result;  // type; several are divided by semicolons
  std::string op;
  std::vector<Tensor> inputs;
  std::vector<std::vector<double>> expected;  // of each result
  double tolerance = 1e-6;
};

std::vector<double> numbers(const Tensor& tensor) {
  if (is_float(tensor.type.dtype)) {
    const auto values = tensor.floats();
    return {values.begin(), values.end()};
  }
  const auto values = tensor.ints();
  return {values.begin(), values.end()};
}

void check(const Example& example, std::string_view opset = "CoreML8") {
  SCOPED_TRACE(example.op);
  const auto function = function_of(example.inputs, example.result, example.op, opset);
  ASSERT_NE(function, nullptr);
  for (const int threads : {1, 3}) {
    RunOptions options;
    options.threads = threads;
    const auto outcome = try_run(*function, example.inputs, options, threads == 3);
    ASSERT_OK(outcome);
    ASSERT_EQ(outcome->outputs.size(), example.expected.size());
    for (size_t r = 0; r < example.expected.size(); ++r) {
      const auto found = numbers(outcome->outputs[r]);
      ASSERT_EQ(found.size(), example.expected[r].size());
      for (size_t i = 0; i < found.size(); ++i) {
        const double wanted = example.expected[r][i];
        if (std::isnan(wanted)) {
          EXPECT_TRUE(std::isnan(found[i])) << i;
        } else if (std::isinf(wanted)) {
          EXPECT_EQ(found[i], wanted) << i;
        } else {
          EXPECT_NEAR(found[i], wanted, example.tolerance * std::max(1.0, std::abs(wanted))) << i;
        }
      }
    }
  }
}

std::string error_of(const Example& example, std::string_view opset = "CoreML8") {
  const auto function = function_of(example.inputs, example.result, example.op, opset);
  if (function == nullptr) return "";
  const auto outcome = try_run(*function, example.inputs);
  return outcome ? "" : outcome.error().to_string();
}

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
  each("tan", [](double v) { return std::tan(v); }, 1e-6);
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
  check({"fp32[2]", "log(x=%a, epsilon=fp32(0))", {floats({2}, {0, 1})}, {{-kInf, 0}}});
  check({"int32[3]", "threshold(x=%a, alpha=int32(2))", {ints({3}, {1, 2, 3})}, {{2, 2, 3}}});
  // A constant for each channel.
  check({"fp32[1,2,2]", "prelu(x=%a, alpha=fp32[2](0.5,2))", {floats({1, 2, 2}, {-1, 1, -1, 1})},
         {{-0.5, 1, -2, 1}}});
  check({"fp32[1,2,1]", "softplus_parametric(x=%a, alpha=fp32[2](1,2), beta=fp32[2](1,-1))",
         {floats({1, 2, 1}, {1, 1})}, {{std::log1p(std::exp(1)), 2 * std::log1p(std::exp(-1))}}});
}

TEST(Functions, OfTwoElements) {
  const Tensor x = floats({6}, {7, -7, 7, -7, 1, kNaN}), y = floats({6}, {2, 2, -2, -2, 0, 1});
  const auto expect = [&](std::string_view op, std::vector<double> expected) {
    check({"fp32[6]", fmt::format("{}(x=%a, y=%b)", op), {x, y}, {std::move(expected)}});
  };
  expect("floor_div", {3, -4, -4, 3, kInf, kNaN});
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
  check({"int32[1]", "floor_div(x=%a, y=%b)", {ints({1}, {INT32_MIN}), ints({1}, {-1})},
         {{static_cast<double>(INT32_MIN)}}});
  const auto compare = [&](std::string_view op, std::vector<double> expected) {
    check({"bool[3]", fmt::format("{}(x=%a, y=fp32(1))", op), {floats({3}, {0, 1, kNaN})},
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
  check({"fp32[1]", "reduce_log_sum_exp(x=%a, axes=int32[1](1))", {floats({1, 2}, {1000, 1000})},
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
  check({"int32[3]", "reduce_argmax(x=%a, axis=int32(0))", {floats({2, 3}, {1, 5, 2, 3, 5, kNaN})},
         {{1, 0, 1}}});
  check({"int32[2]", "reduce_argmin(x=%a)", {i}, {{1, 0}}});
}

TEST(Rows, SumsAndSorting) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 10, 20, 30});
  check({"fp32[2,3]", "cumsum(x=%a, axis=int32(1))", {x}, {{1, 3, 6, 10, 30, 60}}});
  check({"fp32[2,3]", "cumsum(x=%a, axis=int32(0))", {x}, {{1, 2, 3, 11, 22, 33}}});
  check({"fp32[2,3]", "cumsum(x=%a, axis=int32(1), exclusive=bool(true), reverse=bool(true))", {x},
         {{5, 3, 0, 50, 30, 0}}});
  check({"int32[2]", "cumsum(x=%a)", {ints({2}, {INT32_MAX, 1})},
         {{INT32_MAX, static_cast<double>(INT32_MIN)}}});
  const Tensor y = floats({2, 3}, {2, kNaN, 2, 1, 5, 3});
  check({"int32[2,3]", "argsort(x=%a)", {y}, {{0, 2, 1, 1, 2, 0}}});
  check({"int32[2,3]", "argsort(x=%a, ascending=bool(true))", {y}, {{0, 2, 1, 0, 2, 1}}});
  check({"int32[2,3]", "argsort(x=%a, axis=int32(0), ascending=bool(true))", {y},
         {{1, 1, 0, 0, 0, 1}}});
  check({"fp32[2,2];int32[2,2]", "topk(x=%a, k=int32(2))", {y}, {{2, 2, 5, 3}, {0, 2, 1, 2}}});
  check({"uint8[1]", "topk(x=%a, return_indices=bool(false))", {ints({3}, {4, 200, 7}, DType::UInt8)},
         {{200}}});
}

TEST(Rows, Norms) {
  const Tensor x = floats({1, 2, 2}, {1, 3, -2, 2});
  check({"fp32[1,2,2]",
         "layer_norm(x=%a, axes=int32[1](-1), gamma=fp32[2](2,1), beta=fp32[2](0,10), "
         "epsilon=fp32(0))",
         {x}, {{-2, 11, -2, 11}}});
  check({"fp32[1,2,2]",
         "instance_norm(x=%a, gamma=fp32[2](2,1), beta=fp32[2](0,10), epsilon=fp32(0))", {x},
         {{-2, 2, 9, 11}}});
  check({"fp32[1,2,2]",
         "batch_norm(x=%a, mean=fp32[2](1,0), variance=fp32[2](3,0), gamma=fp32[2](2,1), "
         "epsilon=fp32(1))",
         {x}, {{0, 2, -2, 2}}});
  check({"fp32[1,2,2]", "l2_norm(x=%a, epsilon=fp32(0))", {x},
         {{1 / std::sqrt(18), 3 / std::sqrt(18), -2 / std::sqrt(18), 2 / std::sqrt(18)}}});
  check({"fp32[1,2,2]",
         "local_response_norm(x=%a, size=int32(3), alpha=fp32(3), beta=fp32(1), k=fp32(1))", {x},
         {{1.0 / 6, 3.0 / 14, -2.0 / 6, 2.0 / 14}}});
  check({"fp32[1,2,2]",
         "local_response_norm(x=%a, size=int32(2), alpha=fp32(2), beta=fp32(1), k=fp32(1))", {x},
         {{1.0 / 2, 3.0 / 10, -2.0 / 5, 2.0 / 5}}});
}

TEST(Products, OfVectorsAndIntegers) {
  check({"fp32[2]", "matmul(x=%a, y=%b)", {floats({2}, {1, 2}), floats({2, 2}, {1, 2, 3, 4})},
         {{7, 10}}});
  check({"int32[1,2]", "matmul(x=%a, y=%b, transpose_y=bool(true))",
         {ints({1, 2}, {1, 2}), ints({2, 2}, {1, 2, 3, 4})}, {{5, 11}}});
  check({"int32[1,2]", "linear(x=%a, weight=int32[2,2](1,2,3,4), bias=int32[2](10,20))",
         {ints({1, 2}, {1, 2})}, {{15, 31}}});
  check({"fp16[1,1]", "matmul(x=%a, y=fp32[2,1](1,0.5))", {floats({1, 2}, {1, 2}, DType::F16)},
         {{2}}});
  // chw,whr->chr with one h for all
  check({"fp32[1,2,1]", "einsum(values=[%a, %b], equation=\"chw,whr->chr\")",
         {floats({1, 2, 2}, {1, 2, 3, 4}), floats({2, 1, 1}, {10, 100})}, {{210, 430}}});
}

TEST(Products, Attention) {
  const Tensor query = floats({1, 2, 1}, {0, 1}), key = floats({1, 2, 1}, {1, 3}),
               value = floats({1, 2, 1}, {10, 20});
  const double weight = 1 / (1 + std::exp(2));
  check({"fp32[1,2,1]", "scaled_dot_product_attention(query=%a, key=%b, value=%c)",
         {query, key, value}, {{15, 20 - 10 * weight}}});
  check({"fp32[1,2,1]",
         "scaled_dot_product_attention(query=%a, key=%b, value=%c, attn_mask=%d)",
         {query, key, value, ints({2, 2}, {1, 0, 0, 1}, DType::Bool)}, {{10, 20}}});
}

TEST(Recurrent, Layers) {
  // One step forward: h = tanh(1 * x + 1 * h).
  const double first = std::tanh(0.5), second = std::tanh(1 + first);
  check({"fp32[2,1,1];fp32[1,1]",
         "rnn(x=%a, initial_h=fp32[1,1](0), weight_ih=fp32[1,1](1), weight_hh=fp32[1,1](1), "
         "output_sequence=bool(true))",
         {floats({2, 1, 1}, {0.5f, 1})}, {{first, second}, {second}}});
  const double last = std::tanh(1), before = std::tanh(0.5 + last);
  check({"fp32[2,1,1];fp32[1,1]",
         "rnn(x=%a, initial_h=fp32[1,1](0), weight_ih=fp32[1,1](1), weight_hh=fp32[1,1](1), "
         "output_sequence=bool(true), direction=\"reverse\")",
         {floats({2, 1, 1}, {0.5f, 1})}, {{last, before}, {before}}});
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
           {floats({1, 1, 1}, {1})}, {{h}, {h}}});
  }
  const double c = sigmoid(2) * 0.5 + sigmoid(1) * std::tanh(4), h = sigmoid(3) * std::tanh(c);
  check({"fp32[1,1,1];fp32[1,1];fp32[1,1]",
         "lstm(x=%a, initial_h=fp32[1,1](0), initial_c=fp32[1,1](0.5), "
         "weight_ih=fp32[4,1](1,2,3,4), weight_hh=fp32[4,1](1,1,1,1))",
         {floats({1, 1, 1}, {1})}, {{h}, {h}, {c}}});
}

TEST(GatherScatter, SelectSlices) {
  const Tensor x = floats({2, 3}, {0, 1, 2, 10, 11, 12});
  check({"fp32[2,1]", "gather_along_axis(x=%a, indices=%b, axis=int32(1))",
         {x, ints({2, 1}, {2, 0})}, {{2, 10}}});
  check({"fp32[2]", "gather_nd(x=%a, indices=%b)", {x, ints({2, 2}, {0, 1, 1, 2}, DType::Int16)},
         {{1, 12}}});
  check({"fp32[1,3]", "gather_nd(x=%a, indices=%b)", {x, ints({1, 1}, {1})}, {{10, 11, 12}}});
  check({"fp32[2]", "gather_nd(x=%a, indices=%b, batch_dims=int32(1))", {x, ints({2, 1}, {2, 0})},
         {{2, 10}}});
  check({"fp32[2,2]", "gather(x=%a, indices=%b, axis=int32(1), batch_dims=int32(1))",
         {x, ints({2, 2}, {2, 0, 1, 1})}, {{2, 0, 11, 11}}});
  const auto scatter = [&](std::string_view mode, std::vector<double> expected) {
    check({"fp32[2,3]",
           fmt::format("scatter(data=%a, indices=%b, updates=%c, axis=int32(1), mode=\"{}\")", mode),
           {x, ints({2}, {2, 2}), floats({2, 2}, {5, 7, 2, 4})}, {std::move(expected)}});
  };
  scatter("update", {0, 1, 7, 10, 11, 4});
  scatter("add", {0, 1, 14, 10, 11, 18});
  scatter("sub", {0, 1, -10, 10, 11, 6});
  scatter("mul", {0, 1, 70, 10, 11, 96});
  scatter("div", {0, 1, 2.0 / 35, 10, 11, 1.5});
  scatter("max", {0, 1, 7, 10, 11, 12});
  scatter("min", {0, 1, 2, 10, 11, 2});
  check({"int32[3]", "scatter_along_axis(data=%a, indices=%b, updates=%c, mode=\"add\")",
         {ints({3}, {1, 2, 3}), ints({2}, {0, 0}), ints({2}, {10, 20})}, {{31, 2, 3}}});
  check({"fp32[2,3]", "scatter_nd(data=%a, indices=%b, updates=%c, mode=\"update\")",
         {x, ints({1, 1}, {1}), floats({1, 3}, {7, 8, 9})}, {{0, 1, 2, 7, 8, 9}}});
}

TEST(GatherScatter, NegativeIndicesAreLegalInOlderOpsets) {
  const Tensor x = floats({3}, {1, 2, 3}), at = ints({2}, {-1, 0});
  const Example gather{"fp32[2]", "gather(x=%a, indices=%b)", {x, at}, {{3, 1}}};
  const Example scatter{"fp32[3]", "scatter(data=%a, indices=%b, updates=%c, mode=\"update\")",
                        {x, at, floats({2}, {7, 8})}, {{8, 2, 7}}};
  for (const Example& example : {gather, scatter}) {
    check(example, "CoreML5");
    check(example, "CoreML6");
    EXPECT_THAT(error_of(example, "CoreML7"), HasSubstr("index -1 at position 0 is outside [0, 3)"));
  }
  const Example outside{"fp32[2]", "gather(x=%a, indices=%b)", {x, ints({2}, {0, -4})}, {}};
  EXPECT_THAT(error_of(outside, "CoreML5"), HasSubstr("index -4 at position 1 is outside [-3, 3)"));
}

TEST(Parts, SlicesAndUpdates) {
  const Tensor x = floats({2, 3}, {0, 1, 2, 10, 11, 12});
  check({"fp32[1,2]", "slice_by_size(x=%a, begin=%b, size=int32[2](1,2))", {x, ints({2}, {1, -2})},
         {{11, 12}}});
  EXPECT_THAT(error_of({"fp32[1,2]", "slice_by_size(x=%a, begin=%b, size=int32[2](1,2))",
                        {x, ints({2}, {0, 2})}, {}}),
              HasSubstr("2 elements from 2 of axis 1 of size 3"));
  const std::string update =
      "slice_update(x=%a, update=fp32[1,2](7,8), begin=%b, end=%c, stride=int32[2](1,2))";
  check({"fp32[2,3]", update, {x, ints({2}, {1, 0}), ints({2}, {2, 3})},
         {{0, 1, 2, 7, 11, 8}}});
  EXPECT_THAT(error_of({"fp32[2,3]", update, {x, ints({2}, {0, 0}), ints({2}, {2, 3})}, {}}),
              HasSubstr("an update of [1,2] for a slice of [2,2]"));
  check({"fp32[1,1,2]", "crop(x=%a, crop_height=int32[2](1,0), crop_width=int32[2](0,1))",
         {floats({1, 2, 3}, {0, 1, 2, 10, 11, 12})}, {{10, 11}}});
}

TEST(Parts, Repeated) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  check({"fp32[2,4]", "tile(x=%a, reps=int32[2](1,2))", {x}, {{1, 2, 1, 2, 3, 4, 3, 4}}});
  check({"fp32[4,2]", "tile(x=%a, reps=int32[2](2,1))", {x}, {{1, 2, 3, 4, 1, 2, 3, 4}}});
  check({"fp32[2,2]", "reverse(x=%a)", {x}, {{4, 3, 2, 1}}});
  check({"fp32[2,2]", "reverse(x=%a, axes=int32[1](-1))", {x}, {{2, 1, 4, 3}}});
  check({"fp32[2,3]", "reverse_sequence(x=%a, lengths=%b, seq_axis=int32(1), batch_axis=int32(0))",
         {floats({2, 3}, {1, 2, 3, 4, 5, 6}), ints({2}, {2, 3})}, {{2, 1, 3, 6, 5, 4}}});
  check({"int8[2,2]", "sliding_windows(x=%a, axis=int32(0), size=int32(2), stride=int32(2))",
         {ints({4}, {1, 2, 3, 4}, DType::Int8)}, {{1, 2, 3, 4}}});
  check({"fp32[2,3]", "band_part(x=%a, lower=int32(0), upper=int32(1))",
         {floats({2, 3}, {1, 2, 3, 4, 5, 6})}, {{1, 2, 0, 0, 5, 6}}});
}

TEST(Parts, Padded) {
  const Tensor x = floats({1, 3}, {1, 2, 3});
  check({"fp32[1,6]", "pad(x=%a, pad=int32[2](2,1), constant_val=fp32(9))", {x},
         {{9, 9, 1, 2, 3, 9}}});
  check({"fp32[1,6]", "pad(x=%a, pad=int32[2](2,1), mode=\"reflect\")", {x},
         {{3, 2, 1, 2, 3, 2}}});
  check({"fp32[1,6]", "pad(x=%a, pad=int32[2](2,1), mode=\"replicate\")", {x},
         {{1, 1, 1, 2, 3, 3}}});
  check({"fp32[2,4]", "pad(x=%a, pad=int32[4](1,0,0,1))", {x}, {{0, 0, 0, 0, 1, 2, 3, 0}}});
}

TEST(Parts, Blocks) {
  const Tensor x = floats({1, 4, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  check({"fp32[1,1,2,4]", "depth_to_space(x=%a, block_size=int32(2))", {x},
         {{0, 2, 1, 3, 4, 6, 5, 7}}});
  check({"fp32[1,1,2,4]", "pixel_shuffle(x=%a, upscale_factor=int32(2))", {x},
         {{0, 2, 1, 3, 4, 6, 5, 7}}});
  // They differ in which channels belong together.
  const Tensor two = floats({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  check({"fp32[1,2,2,2]", "depth_to_space(x=%a, block_size=int32(2))", {two},
         {{0, 2, 4, 6, 1, 3, 5, 7}}});
  check({"fp32[1,2,2,2]", "pixel_shuffle(x=%a, upscale_factor=int32(2))", {two},
         {{0, 1, 2, 3, 4, 5, 6, 7}}});
  const Tensor image = floats({1, 1, 2, 2}, {1, 2, 3, 4});
  check({"fp32[1,4,1,1]", "space_to_depth(x=%a, block_size=int32(2))", {image}, {{1, 2, 3, 4}}});
  check({"fp32[1,4,1,1]", "pixel_unshuffle(x=%a, downscale_factor=uint32(2))", {image},
         {{1, 2, 3, 4}}});
  check({"fp32[4,1,1,2]",
         "space_to_batch(x=%a, block_shape=int32[2](2,2), paddings=int32[2,2](0,0,1,1))", {image},
         {{0, 2, 1, 0, 0, 4, 3, 0}}});
  check({"fp32[1,1,2,2]",
         "batch_to_space(x=%a, block_shape=int32[2](2,2), crops=int32[2,2](0,0,1,1))",
         {floats({4, 1, 1, 2}, {0, 2, 1, 0, 0, 4, 3, 0})}, {{1, 2, 3, 4}}});
}

TEST(Resizing, Grids) {
  const Tensor x = floats({1, 1, 2}, {0, 1});
  const auto resize = [&](std::string_view mode, std::vector<double> expected) {
    check({"fp32[1,1,5]",
           fmt::format("resize_bilinear(x=%a, target_size_height=int32(1), "
                       "target_size_width=int32(5), sampling_mode=\"{}\")",
                       mode),
           {x}, {std::move(expected)}});
  };
  resize("DEFAULT", {0, 0.4, 0.8, 1, 1});
  resize("STRICT_ALIGN_CORNERS", {0, 0.25, 0.5, 0.75, 1});
  resize("ALIGN_CORNERS", {0, 0.25, 0.5, 0.75, 1});
  resize("UNALIGN_CORNERS", {0, 0.1, 0.5, 0.9, 1});
  resize("OFFSET_CORNERS", {0.1, 0.3, 0.5, 0.7, 0.9});
  check({"fp32[1,1,4]", "upsample_nearest_neighbor(x=%a, scale_factor_width=fp32(2))", {x},
         {{0, 0, 1, 1}}});
  check({"fp32[1,1,4]", "upsample_bilinear(x=%a, scale_factor_width=int32(2))", {x},
         {{0, 1.0 / 3, 2.0 / 3, 1}}});
  check({"fp32[1,1,4]",
         "upsample_bilinear(x=%a, scale_factor_width=int32(2), align_corners=bool(false))", {x},
         {{0, 0.25, 0.75, 1}}});
  check({"fp32[1,3,1]",
         "resize(x=%a, shape=int32[2](3,1), resized_dims=uint32(2), "
         "interpolation_mode=\"NEAREST_NEIGHBOR\")",
         {floats({1, 2, 1}, {5, 6})}, {{5, 5, 6}}});
}

TEST(Resizing, BoxesAndCoordinates) {
  std::vector<float> pixels(16);
  for (size_t i = 0; i < 16; ++i) pixels[i] = static_cast<float>(i + 1);
  const Tensor x = floats({1, 1, 4, 4}, pixels);
  check({"fp32[1,1,2,2]",
         "crop_resize(x=%a, boxes=fp32[1,4](1,1,2,2), target_height=int32(2), "
         "target_width=int32(2), sampling_mode=\"ALIGN_CORNERS\")",
         {x}, {{6, 7, 10, 11}}});
  check({"fp32[1,1,2,2]",
         "crop_resize(x=%a, boxes=fp32[1,4](0.1,0.3,1.3,1), box_indices=int32[1](0), "
         "target_height=int32(2), target_width=int32(2), normalized_coordinates=bool(true), "
         "sampling_mode=\"ALIGN_CORNERS\", pad_value=fp32(10))",
         {x}, {{3.1, 5.2, 10, 10}}, 1e-5});
  check({"fp32[1,1,1,1,1]",
         "crop_resize(x=%a, roi=fp32[1,1,5,1,1](0,1,1,2,2), sampling_mode=\"ALIGN_CORNERS\")", {x},
         {{8.5}}},
        "CoreML6");
  EXPECT_THAT(error_of({"fp32[1,1,1,1]", "crop_resize(x=%a, boxes=fp32[1,4](0,0,1,1), "
                                         "box_indices=%b)",
                        {x, ints({1}, {1})}, {}}),
              HasSubstr("image 1 is outside [0, 1)"));
  const auto resample = [&](std::string_view sampling, std::string_view padding,
                            std::string_view mode, std::vector<float> at, double expected) {
    check({"fp32[1,1,1,1]",
           fmt::format("resample(x=%a, coordinates=%b, sampling_mode=\"{}\", padding_mode=\"{}\", "
                       "padding_value=fp32(-1), coordinates_mode=\"{}\", align_corners=bool(true))",
                       sampling, padding, mode),
           {x, floats({1, 1, 1, 2}, at)}, {{expected}}});
  };
  resample("bilinear", "constant", "unnormalized", {0.5f, 1}, 5.5);
  resample("nearest", "constant", "unnormalized", {0.6f, 1}, 6);
  resample("bilinear", "constant", "normalized_minus_one_to_one", {1, -1}, 4);
  resample("bilinear", "constant", "normalized_zero_to_one", {0, 1}, 13);
  resample("bilinear", "constant", "unnormalized", {-5, 0}, -1);
  resample("bilinear", "constant", "unnormalized", {kNaN, 0}, -1);
  resample("bilinear", "border", "unnormalized", {-5, 0}, 1);
  resample("bilinear", "reflection", "unnormalized", {-1, 0}, 2);
  resample("bilinear", "symmetric", "unnormalized", {-1, 0}, 1);
  check({"fp32[1,1,2,2]",
         "affine(x=%a, transform_matrix=fp32[1,6](1,0,0,0,1,0), output_height=int32(2), "
         "output_width=int32(2), sampling_mode=\"bilinear\", padding_mode=\"constant\", "
         "padding_value=fp32(0), coordinates_mode=\"normalized_minus_one_to_one\", "
         "align_corners=bool(true))",
         {x}, {{1, 4, 13, 16}}});
}

TEST(Made, FromParameters) {
  const Tensor x = ints({2}, {1, 5});
  check({"fp32[2]", "fill_like(ref_tensor=%a, value=fp32(0.5))", {x}, {{0.5, 0.5}}});
  check({"int32[2,3]", "one_hot(indices=%a, one_hot_vector_size=int32(3))", {x},
         {{0, 1, 0, 0, 0, 0}}});
  check({"fp32[3,2]",
         "one_hot(indices=%a, one_hot_vector_size=int32(3), axis=int32(0), on_value=fp32(2), "
         "off_value=fp32(-1))",
         {x}, {{-1, -1, 2, -1, -1, -1}}});
  check({"int32[1]", "shape(x=%a)", {x}, {{2}}});
}

TEST(Random, FollowsItsParametersAndItsSeed) {
  const auto draw = [](std::string_view type, std::string op, std::vector<Tensor> inputs = {}) {
    const auto function = function_of(inputs, type, op, "CoreML8");
    return run(*function, inputs).outputs[0].floats();
  };
  const auto ones = draw("fp32[8]", "random_bernoulli(shape=int32[1](8), prob=fp32(1))");
  EXPECT_THAT(ones, ::testing::Each(1));
  EXPECT_THAT(draw("fp32[8]", "random_bernoulli(shape=int32[1](8), prob=fp32(0))"),
              ::testing::Each(0));
  const std::string seeded = "random_uniform(shape=int32[1](1000), low=fp32(2), high=fp32(4), "
                             "seed=int32(7))";
  const auto uniform = draw("fp32[1000]", seeded);
  EXPECT_EQ(uniform, draw("fp32[1000]", seeded));
  double mean = 0;
  for (const float v : uniform) {
    EXPECT_GE(v, 2);
    EXPECT_LE(v, 4);
    mean += v / 1000;
  }
  EXPECT_NEAR(mean, 3, 0.1);
  const std::string unseeded = "random_normal(shape=int32[1](1000))";
  const auto normal = draw("fp32[1000]", unseeded);
  EXPECT_NE(normal, draw("fp32[1000]", unseeded));
  double squares = 0;
  for (const float v : normal) squares += v * v / 1000;
  EXPECT_NEAR(squares, 1, 0.3);
  const auto classes = draw("fp32[1,1000]",
                            "random_categorical(x=%a, mode=\"probs\", size=int32(1000))",
                            {floats({1, 3}, {0.2f, 0, 0.8f})});
  EXPECT_NEAR(static_cast<double>(std::count(classes.begin(), classes.end(), 2)), 800, 80);
  EXPECT_EQ(std::count(classes.begin(), classes.end(), 1), 0);
}

// Parameters of a hostile file: windows as large as an integer over an input of nothing.
TEST(Hostile, WindowsCostWhatTheyTouch) {
  check({"fp32[1,1,1]",
         "max_pool(x=%a, kernel_sizes=int32[1](2147483647), pad_type=\"custom\", "
         "pad=int32[2](1073741823,1073741823))",
         {floats({1, 1, 1}, {3})}, {{3}}});
  const auto function = function_of({floats({1, 1, 1}, {3})}, "fp32[1,1,2147483647]",
                                    "avg_pool(x=%a, kernel_sizes=int32[1](1), "
                                    "pad_type=\"custom\", pad=int32[2](2147483645,1))",
                                    "CoreML8");
  ASSERT_NE(function, nullptr);
  ExecutableOptions options;
  options.memory_limit = 1 << 20;
  const auto compiled = Executable::compile(*function, options);
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().to_string(), HasSubstr("memory limit"));
}

TEST(Hostile, OperationsOfAnotherOpsetAreRefused) {
  auto function = function_of({floats({2}, {1, 2})}, "fp32[2]",
                              "fill_like(ref_tensor=%a, value=fp32(1))", "CoreML6");
  ASSERT_NE(function, nullptr);
  function->opset = "CoreML5";
  const auto compiled = Executable::compile(*function);
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().to_string(), HasSubstr("not in opset CoreML5"));
}

}  // namespace
}  // namespace diptych::engine
