#include "passes/split_linears.h"

#include <gmock/gmock.h>

#include "pass_testing.h"
#include "passes/quantize_linears.h"

namespace diptych::passes {
namespace {

TEST(SplitCount, IsUpstreamsRule) {
  EXPECT_EQ(split_count(4096, {1024, 8}), 4);
  EXPECT_EQ(split_count(14336, {1024, 8}), 8);
  EXPECT_EQ(split_count(1000, {1024, 8}), 1);
  EXPECT_EQ(split_count(1536, {1024, 8}), 1);
  EXPECT_EQ(split_count(2049, {1, 3}), 3);
  EXPECT_EQ(split_count(64, {0, 8}), 1);
  EXPECT_EQ(split_count(172, {32, 4}), 4);
}

TEST(SplitCount, RefusesUnevenPiecesWithTheNearestTarget) {
  const auto error = [](int64_t outputs, SplitOptions options) {
    const auto count = split_count(outputs, options);
    return count ? std::string() : count.error().to_string();
  };
  EXPECT_EQ(error(172, {32, 8}),
            "172 outputs do not split evenly with target split size 32 and at most 8 splits; the "
            "nearest valid target split size is 35");
  EXPECT_EQ(error(64, {-1, 8}), "target split size -1: expected 0 (no split) or more");
  EXPECT_EQ(error(64, {32, 0}), "at most 0 splits: expected 1 or more");
}

TEST(NearestTargetSize, HoldsForAllAndIsNearest) {
  const std::vector<int64_t> outputs = {64, 172, 512};
  for (const int64_t max_splits : {1, 3, 4, 8}) {
    for (int64_t target = 1; target < 600; ++target) {
      const int64_t nearest = nearest_target_size(outputs, {target, max_splits});
      const auto valid = [&](int64_t candidate) {
        return std::all_of(outputs.begin(), outputs.end(), [&](int64_t out) {
          return split_count(out, {candidate, max_splits}).has_value();
        });
      };
      EXPECT_TRUE(valid(nearest));
      for (int64_t other = target - std::abs(target - nearest) + 1;
           other < target + std::abs(target - nearest); ++other) {
        EXPECT_FALSE(other > 0 && valid(other)) << target << " -> " << nearest << ", " << other;
      }
    }
  }
}

constexpr std::string_view kLinear = R"(func @forward(%x: fp16[1,4,32]) opset "CoreML8" {
  %w: fp16[64,32] = random(1)
  %b: fp16[64] = zeros
  %y: fp16[1,4,64] = linear(x=%x, weight=%w, bias=%b)
  %z: fp16[1,4,64] = silu(x=%y)
  return %z, %y
}
)";

TEST(SplitLinears, PiecesAndTheirConcatReplaceALinear) {
  auto program = parsed(kLinear);
  EXPECT_EQ(after(program,
                  [](auto& p) {
                    return split_linears(p, {32, 8});
                  }),
            R"(func @forward(%x: fp16[1,4,32]) opset "CoreML8" {
  %w_0: fp16[32,32] = blob
  %b_0: fp16[32] = zeros
  %w_1: fp16[32,32] = blob
  %b_1: fp16[32] = zeros
  %y_0: fp16[1,4,32] = linear(x=%x, weight=%w_0, bias=%b_0)
  %y_1: fp16[1,4,32] = linear(x=%x, weight=%w_1, bias=%b_1)
  %y: fp16[1,4,64] = concat(values=[%y_0, %y_1], axis=int32(-1), interleave=bool(false))
  %z: fp16[1,4,64] = silu(x=%y)
  return %z, %y
}
)");
}

TEST(SplitLinears, OnePieceStillGetsItsConcat) {
  auto program = parsed(kLinear);
  EXPECT_THAT(
      after(program, [](auto& p) { return split_linears(p, {}); }),
      ::testing::HasSubstr(
          "%y: fp16[1,4,64] = concat(values=[%y_0], axis=int32(-1), interleave=bool(false))"));
}

TEST(SplitLinears, TargetZeroChangesNothing) {
  auto program = parsed(kLinear);
  EXPECT_EQ(after(program, [](auto& p) { return split_linears(p, {0, 8}); }), kLinear);
}

TEST(SplitLinears, PiecesAreConsecutiveRowsOfWeightAndBias) {
  auto program = parsed(R"(func @forward(%x: fp32[4,8]) opset "CoreML8" {
  %w: fp32[96,8] = random(1)
  %b: fp32[96] = iota
  %y: fp32[4,96] = linear(x=%x, weight=%w, bias=%b)
  return %y
}
)");
  const WeightRef weight = program.functions[0]->find("w")->weight;
  ASSERT_OK(split_linears(program, {32, 8}));
  std::vector<float> rows, biases;
  for (const char* suffix : {"_0", "_1", "_2"}) {
    const mil::Function& function = *program.functions[0];
    const auto piece = read_floats(*function.find(std::string("w") + suffix)->weight).value();
    rows.insert(rows.end(), piece.begin(), piece.end());
    const auto bias = read_floats(*function.find(std::string("b") + suffix)->weight).value();
    biases.insert(biases.end(), bias.begin(), bias.end());
  }
  EXPECT_EQ(rows, read_floats(*weight).value());
  for (size_t i = 0; i < biases.size(); ++i) EXPECT_EQ(biases[i], static_cast<float>(i));
  EXPECT_EQ(biases.size(), 96u);
}

TEST(SplitLinears, FunctionsGoOnSharingAndZeroBiasesAreOne) {
  auto program = twice(parsed(kLinear));
  ASSERT_OK(split_linears(program, {32, 8}));
  const mil::Function& forward = *program.functions[0];
  const mil::Function& prefill = *program.functions[1];
  EXPECT_EQ(forward.find("w_1")->weight, prefill.find("w_1")->weight);
  EXPECT_NE(forward.find("w_0")->weight, forward.find("w_1")->weight);
  EXPECT_EQ(forward.find("b_0")->weight, forward.find("b_1")->weight);
  EXPECT_EQ(forward.find("b_0")->weight, prefill.find("b_1")->weight);
  QuantizeCache cache;
  ASSERT_OK(quantize_linears(program, kC4w, {}, cache));
  EXPECT_EQ(forward.find("w_1_codes")->weight, prefill.find("w_1_codes")->weight);
}

TEST(SplitLinears, UnevenPiecesNameWeightsAndTheNearestTarget) {
  auto program = twice(parsed(R"(func @f(%x: fp16[4,32]) opset "CoreML8" {
  %w1: fp16[172,32] = random(1)
  %w2: fp16[64,172] = random(2)
  %b1: fp16[172] = zeros
  %b2: fp16[64] = zeros
  %u: fp16[4,172] = linear(x=%x, weight=%w1, bias=%b1)
  %v: fp16[4,64] = linear(x=%u, weight=%w2, bias=%b2)
  return %v
}
)"));
  EXPECT_EQ(error_of(split_linears(program, {32, 8})),
            "w1 fp16[172,32] does not split evenly with target split size 32 and at most 8 splits; "
            "the nearest valid target split size is 35");
  EXPECT_EQ(error_of(split_linears(program, {21, 8})),
            "2 linear weights do not split evenly with target split size 21 and at most 8 splits; "
            "the nearest valid target split size is 35\n  w1 fp16[172,32]\n  w2 fp16[64,172]");
  EXPECT_EQ(error_of(split_linears(program, {32, 4})), "");
}

TEST(SplitLinears, RefusesQuantisedWeights) {
  auto program = parsed(kLinear);
  QuantizeCache cache;
  ASSERT_OK(quantize_linears(program, kC4w, {}, cache));
  EXPECT_EQ(error_of(split_linears(program, {32, 8})),
            "@forward: linear %y: only constant weights can be split; split before quantising");
}

}  // namespace
}  // namespace diptych::passes
