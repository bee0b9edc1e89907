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

TEST(SplitCount, TakesFewerPiecesWhereTheseWouldNotBeEqual) {
  EXPECT_EQ(wanted_split_count(32001, {1024, 8}), 8);
  EXPECT_EQ(split_count(32001, {1024, 8}), 3);
  EXPECT_EQ(split_count(32002, {1024, 8}), 2);
  EXPECT_EQ(split_count(32003, {1024, 8}), 1);  // a prime
  EXPECT_EQ(split_count(172, {32, 8}), 4);
}

constexpr std::string_view kLinearToSplit = R"(func @forward(%x: fp16[1,4,32]) opset "CoreML8" {
  %w: fp16[64,32] = random(1)
  %b: fp16[64] = zeros
  %y: fp16[1,4,64] = linear(x=%x, weight=%w, bias=%b)
  %z: fp16[1,4,64] = silu(x=%y)
  return %z, %y
}
)";

TEST(SplitLinears, PiecesAndTheirConcatReplaceALinear) {
  auto program = parsed(kLinearToSplit);
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
  auto program = parsed(kLinearToSplit);
  EXPECT_THAT(
      after(program, [](auto& p) { return split_linears(p, {}); }),
      ::testing::HasSubstr(
          "%y: fp16[1,4,64] = concat(values=[%y_0], axis=int32(-1), interleave=bool(false))"));
}

TEST(SplitLinears, TargetZeroChangesNothing) {
  auto program = parsed(kLinearToSplit);
  EXPECT_EQ(after(program, [](auto& p) { return split_linears(p, {0, 8}); }), kLinearToSplit);
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
  auto program = twice(parsed(kLinearToSplit));
  ASSERT_OK(split_linears(program, {32, 8}));
  const mil::Function& forward = *program.functions[0];
  const mil::Function& prefill = *program.functions[1];
  EXPECT_EQ(forward.find("w_1")->weight, prefill.find("w_1")->weight);
  EXPECT_NE(forward.find("w_0")->weight, forward.find("w_1")->weight);
  EXPECT_EQ(forward.find("b_0")->weight, forward.find("b_1")->weight);
  EXPECT_EQ(forward.find("b_0")->weight, prefill.find("b_1")->weight);
  quant::Cache cache;
  ASSERT_OK(quantize_linears(program, quant::Quantization{quant::kC4w}, {}, cache));
  EXPECT_EQ(forward.find("w_1_codes")->weight, prefill.find("w_1_codes")->weight);
}

TEST(SplitLinears, UnevenPiecesAreFewer) {
  auto program = parsed(R"(func @f(%x: fp16[4,32]) opset "CoreML8" {
  %w: fp16[69,32] = random(1)
  %y: fp16[4,69] = linear(x=%x, weight=%w)
  return %y
}
)");
  ASSERT_OK(split_linears(program, {16, 8}));
  EXPECT_NE(program.functions[0]->find("w_2"), nullptr);
  EXPECT_EQ(program.functions[0]->find("w_3"), nullptr);
  EXPECT_EQ(program.functions[0]->find("w_0")->weight->shape(), (Shape{23, 32}));
}

TEST(SplitLinears, RefusesQuantisedWeights) {
  auto program = parsed(kLinearToSplit);
  quant::Cache cache;
  ASSERT_OK(quantize_linears(program, quant::Quantization{quant::kC4w}, {}, cache));
  EXPECT_EQ(error_of(split_linears(program, {32, 8})),
            "@forward: linear %y: only constant weights can be split; split before quantising");
}

}  // namespace
}  // namespace diptych::passes
