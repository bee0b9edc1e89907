#include "quant/gptq.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant_testing.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

using ::testing::HasSubstr;

// Inputs that share a few causes, as activations do.
std::vector<float> correlated_inputs(size_t count, size_t width, uint32_t seed) {
  constexpr size_t kCauses = 6;
  std::mt19937 random(seed);
  std::normal_distribution<float> bell;
  std::vector<float> mixing(kCauses * width), inputs(count * width);
  for (float& m : mixing) m = bell(random);
  for (size_t i = 0; i < count; ++i) {
    float causes[kCauses];
    for (float& cause : causes) cause = bell(random);
    for (size_t j = 0; j < width; ++j) {
      float x = 0.2f * bell(random);
      for (size_t c = 0; c < kCauses; ++c) x += causes[c] * mixing[c * width + j];
      inputs[i * width + j] = x;
    }
  }
  return inputs;
}

TEST(GptqFactor, InvertsTheDampedMoments) {
  ThreadPool pool(2);
  for (const size_t width : {1u, 5u, 32u, 33u, 100u}) {
    const std::vector<float> inputs = correlated_inputs(300, width, 7);
    Hessian hessian(width);
    hessian.add(std::span(inputs).first(100 * width), pool);
    hessian.add(std::span(inputs).subspan(100 * width), pool);
    EXPECT_EQ(hessian.samples(), 300U);
    double expected = 0;
    for (size_t i = 0; i < 300; ++i) {
      expected += static_cast<double>(inputs[i * width]) *
                  static_cast<double>(inputs[i * width + width - 1]);
    }
    EXPECT_NEAR(hessian.at(width - 1, 0), expected, 1e-3 * (1 + std::fabs(expected)));

    const auto factor = factorize(hessian, pool);
    ASSERT_OK(factor);
    // (H + damping) Uᵀ U is the identity, inputs in the factor's order.
    const double damping = static_cast<double>(factor->importance[0] - hessian.at(0, 0));
    for (size_t i = 0; i < width; ++i) {
      if (i > 0) {
        EXPECT_GE(factor->importance[factor->order[i - 1]], factor->importance[factor->order[i]]);
      }
      std::vector<double> row(width);  // row i of (H + damping) Uᵀ
      for (size_t k = 0; k < width; ++k) {
        for (size_t j = k; j < width; ++j) {
          const double h = static_cast<double>(hessian.at(factor->order[i], factor->order[j])) +
                           (i == j ? damping : 0);
          row[k] += h * static_cast<double>(factor->upper[k * width + j]);
        }
      }
      for (size_t j = 0; j < width; ++j) {
        double element = 0;
        for (size_t k = 0; k <= j; ++k) {
          element += row[k] * static_cast<double>(factor->upper[k * width + j]);
        }
        EXPECT_NEAR(element, i == j ? 1 : 0, 5e-3) << width << ": " << i << ", " << j;
      }
    }
  }
}

// The squared error of a linear's outputs, by its definition; of every `step`th of them.
double output_error(const std::vector<float>& inputs, const Weight& source,
                    const QuantizedWeight& quantized, size_t step = 1) {
  const auto rows = static_cast<size_t>(source.shape()[0]);
  const auto width = static_cast<size_t>(source.shape()[1]);
  const auto w = read_floats(source).value(), scales = read_floats(*quantized.scales).value();
  const auto codes = read_ints(*quantized.codes).value();
  const size_t group = width / static_cast<size_t>(quantized.scales->shape()[1]);
  double sum = 0;
  for (size_t r = 0; r < rows; r += step) {
    for (size_t at = 0; at < inputs.size(); at += width) {
      double off = 0;
      for (size_t i = 0; i < width; ++i) {
        const double q = static_cast<double>(scales[(r * width + i) / group]) *
                         static_cast<double>(codes[r * width + i]);
        off += (static_cast<double>(w[r * width + i]) - q) * static_cast<double>(inputs[at + i]);
      }
      sum += off * off;
    }
  }
  return sum;
}

TEST(Gptq, LowersTheErrorOfOutputsOnCorrelatedInputs) {
  constexpr size_t kWidth = 128;
  ThreadPool pool(2);
  const std::vector<float> inputs = correlated_inputs(400, kWidth, 11);
  Hessian hessian(kWidth);
  hessian.add(inputs, pool);
  const auto factor = factorize(hessian, pool);
  ASSERT_OK(factor);
  const WeightRef source = matrix(40, kWidth, 5);
  for (const Format format :
       {Format{4, 0}, Format{4, 32}, Format{4, 64}, Format{4, 128}, Format{8, 0}}) {
    const auto made = quantize_gptq(*source, format, *factor, "w", pool);
    ASSERT_OK(made);
    const QuantizedWeight rounded = quantize(source, {format}, "w").value();
    const double error = output_error(inputs, *source, made->quantized);
    const double error_of_rtn = output_error(inputs, *source, rounded);
    EXPECT_LT(error, 0.5 * error_of_rtn) << to_string(format);
    EXPECT_LE(made->output_error.chosen, made->output_error.rounded);
    // It is reported with the damping; codes of rtn differ where products are rounded to fp16.
    EXPECT_NEAR(made->output_error.rounded / output_error(inputs, *source, rounded, 4), 1, 0.2)
        << to_string(format);
    EXPECT_EQ(made->quantized.codes->type(), rounded.codes->type());
    EXPECT_EQ(made->quantized.scales->type(), rounded.scales->type());
    EXPECT_GT(made->quantized.error->total().relative(), 0);
  }
}

TEST(Gptq, LosesNothingToRoundToNearestWithoutInputs) {
  ThreadPool pool(1);
  const auto factor = factorize(Hessian(64), pool);  // no inputs at all: all weights alike
  ASSERT_OK(factor);
  const auto made = quantize_gptq(*matrix(3, 64, 2), {4, 32}, *factor, "w", pool);
  ASSERT_OK(made);
  EXPECT_LE(made->output_error.chosen, made->output_error.rounded);
}

TEST(Gptq, RefusesWhatItCannotDo) {
  ThreadPool pool(1);
  Hessian hessian(64);
  const auto factor = factorize(hessian, pool).value();
  const auto error = [&](const WeightRef& weight, const Format& format) {
    const auto made = quantize_gptq(*weight, format, factor, "w", pool);
    return made ? std::string("success") : made.error().to_string();
  };
  EXPECT_EQ(
      error(matrix(3, 32, 1), {4, 0}),
      "w fp16[3,32]: expected an fp16 or fp32 matrix of 64 columns, which groups of 0 divide");
  EXPECT_THAT(error(matrix(3, 64, 1), {4, 128}), HasSubstr("which groups of 128 divide"));
  EXPECT_THAT(error(matrix(3, 64, 1), {3, 0}), HasSubstr("expected 4 or 8"));
  std::vector<double> values(64, 1);
  values[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error(constant_floats(DType::F32, {1, 64}, values), {4, 0}),
              HasSubstr("w: holds an infinite or NaN value"));
  const std::vector<float> inputs(64, std::numeric_limits<float>::infinity());
  hessian.add(inputs, pool);
  EXPECT_THAT(factorize(hessian, pool).error().to_string(), HasSubstr("infinite or NaN"));
  EXPECT_THAT(quantize(matrix(3, 64, 1), {{4, 0}, Algorithm::Gptq}, "w").error().to_string(),
              HasSubstr("gptq needs a calibration"));
}

}  // namespace
}  // namespace diptych::quant
