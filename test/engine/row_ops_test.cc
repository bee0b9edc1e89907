#include "engine/row_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "engine_test_util.h"
#include "every_target.h"

namespace diptych::engine {
namespace {

class RowOps : public EveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, RowOps, every_target(), target_name);

// Lengths with every remainder of vectors of up to 16 lanes.
std::vector<size_t> even_lengths() {
  std::vector<size_t> lengths;
  for (size_t n = 2; n <= 70; n += 2) lengths.push_back(n);
  lengths.push_back(128);
  return lengths;
}

TEST_P(RowOps, RotateNeighboursTurnsPairs) {
  for (const size_t n : even_lengths()) {
    const auto x = random_values(n, 1), cos = random_values(n / 2, 2),
               sin = random_values(n / 2, 3);
    std::vector<float> out(n + 1, -1.0f);
    rotate_neighbours(x.data(), cos.data(), sin.data(), n, out.data());
    for (size_t i = 0; i < n / 2; ++i) {
      ASSERT_NEAR(out[2 * i], x[2 * i] * cos[i] - x[2 * i + 1] * sin[i], 1e-5) << n;
      ASSERT_NEAR(out[2 * i + 1], x[2 * i] * sin[i] + x[2 * i + 1] * cos[i], 1e-5) << n;
    }
    EXPECT_EQ(out[n], -1.0f);
  }
}

TEST_P(RowOps, RotateHalvesTurnsPairsOfHalves) {
  for (const size_t n : even_lengths()) {
    const auto x = random_values(n, 1), cos = random_values(n, 2), sin = random_values(n, 3);
    std::vector<float> out(n + 1, -1.0f);
    rotate_halves(x.data(), cos.data(), sin.data(), n, out.data());
    const size_t half = n / 2;
    for (size_t i = 0; i < half; ++i) {
      ASSERT_NEAR(out[i], x[i] * cos[i] - x[half + i] * sin[i], 1e-5) << n;
      ASSERT_NEAR(out[half + i], x[half + i] * cos[half + i] + x[i] * sin[half + i], 1e-5) << n;
    }
    EXPECT_EQ(out[n], -1.0f);
  }
}

// An element is computed by the same instructions wherever it stands.
TEST_P(RowOps, PairsDoNotDependOnTheirPlace) {
  const std::vector<float> x(66, 0.7f), cos(66, 0.3f), sin(66, -0.9f);
  std::vector<float> neighbours(66), halves(66);
  rotate_neighbours(x.data(), cos.data(), sin.data(), 66, neighbours.data());
  rotate_halves(x.data(), cos.data(), sin.data(), 66, halves.data());
  for (size_t i = 0; i < 33; ++i) {
    EXPECT_EQ(neighbours[2 * i], neighbours[0]);
    EXPECT_EQ(neighbours[2 * i + 1], neighbours[1]);
    EXPECT_EQ(halves[i], halves[0]);
    EXPECT_EQ(halves[33 + i], halves[33]);
  }
}

TEST_P(RowOps, NormAndActivationAgreeWithTheirFormulas) {
  for (const size_t n : even_lengths()) {
    const auto x = random_values(n, 4), w = random_values(n, 5);
    std::vector<float> out(n + 1, -1.0f);
    double squares = 0;
    for (const float v : x) squares += double{v} * v;
    rms_norm({1e-5f, false}, x.data(), w.data(), n, out.data());
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    for (size_t i = 0; i < n; ++i) ASSERT_NEAR(out[i], x[i] * factor * w[i], 1e-5) << n;
    swiglu(x.data(), w.data(), n, out.data());
    for (size_t i = 0; i < n; ++i) ASSERT_NEAR(out[i], x[i] / (1 + std::exp(-x[i])) * w[i], 1e-5);
    geglu(x.data(), w.data(), n, out.data());
    for (size_t i = 0; i < n; ++i) {
      const double v = x[i], inner = std::sqrt(2 / 3.14159265358979) * (v + 0.044715 * v * v * v);
      ASSERT_NEAR(out[i], v / 2 * (1 + std::tanh(inner)) * w[i], 1e-5);
    }
    EXPECT_EQ(out[n], -1.0f);
  }
}

// Gates of real models are far from 0: what exponentials of them overflow to must not be no number.
TEST_P(RowOps, GatesFarFromZero) {
  const std::vector<float> gates = {-13, -88, -104, -130, -1e4, -1e12, -1e30, 13, 104, 1e4, 1e12};
  const std::vector<float> ups(gates.size(), 2.0f);
  std::vector<float> silu(gates.size()), gelu(gates.size());
  swiglu(gates.data(), ups.data(), gates.size(), silu.data());
  geglu(gates.data(), ups.data(), gates.size(), gelu.data());
  for (size_t i = 0; i < gates.size(); ++i) {
    const double expected = gates[i] < 0 ? 0 : 2 * static_cast<double>(gates[i]);
    EXPECT_NEAR(silu[i], expected, 1e-4 + 1e-6 * expected) << gates[i];
    EXPECT_NEAR(gelu[i], expected, 1e-4 + 1e-6 * expected) << gates[i];
  }
}

}  // namespace
}  // namespace diptych::engine
