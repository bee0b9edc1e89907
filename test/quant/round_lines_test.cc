#include "quant/round_lines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

namespace diptych::quant {
namespace {

// A factor, targets and scales for every place of a block.
struct Case {
  std::vector<float> upper = std::vector<float>(kInputsAtOnce * kInputsAtOnce);
  std::unique_ptr<LinesToRound> lines = std::make_unique<LinesToRound>();

  explicit Case(size_t inputs) {
    std::mt19937 random(3);
    std::normal_distribution<float> bell;
    for (size_t i = 0; i < kInputsAtOnce; ++i) {
      for (size_t j = i; j < kInputsAtOnce; ++j) {
        upper[i * kInputsAtOnce + j] = j == i ? 1 + std::fabs(bell(random)) : 0.2f * bell(random);
      }
      for (size_t l = 0; l < kLinesAtOnce; ++l) {
        lines->targets[i][l] = bell(random);
        lines->scales[i][l] = 0.1f + 0.05f * std::fabs(bell(random));
      }
    }
    lines->inputs = inputs;
    lines->upper = upper.data();
    lines->upper_stride = kInputsAtOnce;
    lines->lowest = -8;
    lines->highest = 7;
  }
};

// The definition, for one line: what is asked of an input is known when those before it are done.
struct Expected {
  std::vector<double> codes, errors;
  double squares = 0;
};
Expected expected(const LinesToRound& lines, size_t l) {
  Expected result;
  for (size_t i = 0; i < lines.inputs; ++i) {
    auto target = static_cast<double>(lines.targets[i][l]);
    for (size_t before = 0; before < i; ++before) {
      target -=
          result.errors[before] * static_cast<double>(lines.upper[before * lines.upper_stride + i]);
    }
    const auto scale = static_cast<double>(lines.scales[i][l]);
    const double code =
        std::clamp(std::nearbyint(target / scale), static_cast<double>(lines.lowest),
                   static_cast<double>(lines.highest));
    result.codes.push_back(code);
    result.errors.push_back((target - scale * code) /
                            static_cast<double>(lines.upper[i * lines.upper_stride + i]));
    result.squares += result.errors.back() * result.errors.back();
  }
  return result;
}

void expect_as_defined(const LinesToRound& found, const Case& asked) {
  for (size_t l = 0; l < kLinesAtOnce; ++l) {
    const Expected wanted = expected(*asked.lines, l);
    for (size_t i = 0; i < found.inputs; ++i) {
      ASSERT_EQ(static_cast<double>(found.codes[i][l]), wanted.codes[i]) << i << ", " << l;
      ASSERT_NEAR(static_cast<double>(found.errors[i][l]), wanted.errors[i], 1e-4);
    }
    EXPECT_NEAR(found.squares[l], wanted.squares, 1e-4 * (1 + wanted.squares));
  }
}

TEST(RoundLines, HandsErrorsOnAsDefined) {
  for (const size_t inputs : {size_t{1}, size_t{2}, size_t{17}, kInputsAtOnce}) {
    const Case asked(inputs);
    const auto found = std::make_unique<LinesToRound>(*asked.lines);
    round_by_scale(*found);
    expect_as_defined(*found, asked);
  }
}

TEST(RoundLines, TakesTheValuesThatAreChosen) {
  const Case asked(kInputsAtOnce);
  const auto found = std::make_unique<LinesToRound>(*asked.lines);
  round_by_choice(
      *found,
      [](void* context, size_t input, const float* targets, float* values) {
        auto& lines = *static_cast<LinesToRound*>(context);
        for (size_t l = 0; l < kLinesAtOnce; ++l) {
          const float scale = lines.scales[input][l];
          lines.codes[input][l] =
              std::clamp(std::nearbyint(targets[l] / scale), lines.lowest, lines.highest);
          values[l] = scale * lines.codes[input][l];
        }
      },
      found.get());
  expect_as_defined(*found, asked);
}

TEST(RoundLines, ALineDependsOnItselfAlone) {
  const Case asked(kInputsAtOnce);
  const auto all = std::make_unique<LinesToRound>(*asked.lines);
  round_by_scale(*all);
  const auto turned = std::make_unique<LinesToRound>(*asked.lines);
  for (size_t i = 0; i < kInputsAtOnce; ++i) {
    std::reverse(turned->targets[i], turned->targets[i] + kLinesAtOnce);
    std::reverse(turned->scales[i], turned->scales[i] + kLinesAtOnce);
  }
  round_by_scale(*turned);
  for (size_t l = 0; l < kLinesAtOnce; ++l) {
    const size_t other = kLinesAtOnce - 1 - l;
    EXPECT_EQ(turned->squares[other], all->squares[l]);
    for (size_t i = 0; i < kInputsAtOnce; ++i) {
      ASSERT_EQ(turned->errors[i][other], all->errors[i][l]);
    }
  }
}

}  // namespace
}  // namespace diptych::quant
