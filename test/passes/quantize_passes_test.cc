#include <gmock/gmock.h>

#include "pass_testing.h"
#include "passes/quantize_embeddings.h"
#include "passes/quantize_linears.h"

namespace diptych::passes {
namespace {

Status quantize_all_linears(mil::Program& program, const quant::Quantization& how) {
  quant::Cache cache;
  return passes::quantize_linears(program, how, {}, cache);
}

Status quantize_embeddings(mil::Program& program, const quant::Quantization& how) {
  quant::Cache cache;
  return passes::quantize_embeddings(program, how, cache);
}

constexpr std::string_view kLinear = R"(func @forward(%x: fp16[1,4,64]) opset "CoreML8" {
  %w: fp16[32,64] = random(1)
  %b: fp16[32] = zeros
  %y: fp16[1,4,32] = linear(x=%x, weight=%w, bias=%b)
  return %y
}
)";

TEST(QuantizeLinears, RowwiseWeightBecomesCodesAndScales) {
  auto program = parsed(kLinear);
  EXPECT_EQ(after(program, [](auto& p) { return quantize_all_linears(p, {quant::kC4w}); }),
            R"(func @forward(%x: fp16[1,4,64]) opset "CoreML8" {
  %b: fp16[32] = zeros
  %w_codes: int4[32,64] = blob
  %w_scale: fp16[32,1] = blob
  %w_dequantized: fp16[32,64] = constexpr_blockwise_shift_scale(data=%w_codes, scale=%w_scale)
  %y: fp16[1,4,32] = linear(x=%x, weight=%w_dequantized, bias=%b)
  return %y
}
)");
}

TEST(QuantizeLinears, BlockwiseWeightHasAScalePerGroup) {
  auto program = parsed(kLinear);
  EXPECT_THAT(after(program, [](auto& p) { return quantize_all_linears(p, {quant::kB4w}); }),
              ::testing::HasSubstr("%w_scale: fp16[32,2] = blob"));
}

TEST(QuantizeLinears, ReadsTheValuesOfTheSource) {
  auto program = parsed(kLinear);
  const WeightRef source = program.functions[0]->find("w")->weight;
  ASSERT_OK(quantize_all_linears(program, {{8, 64}}));
  const auto expected = quant::quantize(source, {{8, 64}}, "w").value();
  const mil::Function& function = *program.functions[0];
  EXPECT_EQ(read_ints(*function.find("w_codes")->weight).value(),
            read_ints(*expected.codes).value());
  EXPECT_EQ(read_floats(*function.find("w_scale")->weight).value(),
            read_floats(*expected.scales).value());
}

TEST(QuantizeLinears, WeightUsedTwiceIsDequantisedOnceAndOtherUsesKeepIt) {
  auto program = parsed(R"(func @f(%x: fp16[4,64], %i: int32[3]) opset "CoreML8" {
  %w: fp16[64,64] = random(1)
  %b: fp16[64] = zeros
  %y: fp16[4,64] = linear(x=%x, weight=%w, bias=%b)
  %z: fp16[4,64] = linear(x=%y, weight=%w, bias=%b)
  %e: fp16[3,64] = gather(x=%w, indices=%i, axis=int32(0))
  return %z, %e
}
)");
  EXPECT_EQ(after(program, [](auto& p) { return quantize_all_linears(p, {quant::kC4w}); }),
            R"(func @f(%x: fp16[4,64], %i: int32[3]) opset "CoreML8" {
  %w: fp16[64,64] = random(1)
  %b: fp16[64] = zeros
  %w_codes: int4[64,64] = blob
  %w_scale: fp16[64,1] = blob
  %w_dequantized: fp16[64,64] = constexpr_blockwise_shift_scale(data=%w_codes, scale=%w_scale)
  %y: fp16[4,64] = linear(x=%x, weight=%w_dequantized, bias=%b)
  %z: fp16[4,64] = linear(x=%y, weight=%w_dequantized, bias=%b)
  %e: fp16[3,64] = gather(x=%w, indices=%i, axis=int32(0))
  return %z, %e
}
)");
}

TEST(QuantizeLinears, PalettesBecomeIndicesAndTables) {
  auto program = parsed(R"(func @f(%x: fp16[4,64]) opset "CoreML8" {
  %w: fp16[64,64] = random(1)
  %b: fp16[64] = zeros
  %y: fp16[4,64] = linear(x=%x, weight=%w, bias=%b)
  return %y
}
)");
  const quant::Format format{6, 32, quant::Kind::Palette};
  EXPECT_EQ(after(program, [&](auto& p) { return quantize_all_linears(p, {format}); }),
            R"(func @f(%x: fp16[4,64]) opset "CoreML8" {
  %b: fp16[64] = zeros
  %w_codes: uint6[64,64] = blob
  %w_lut: fp16[2,1,64,1] = blob
  %w_dequantized: fp16[64,64] = constexpr_lut_to_dense(indices=%w_codes, lut=%w_lut)
  %y: fp16[4,64] = linear(x=%x, weight=%w_dequantized, bias=%b)
  return %y
}
)");
}

TEST(QuantizeLinears, FunctionsGoOnSharing) {
  auto program = twice(parsed(kLinear));
  ASSERT_OK(quantize_all_linears(program, {quant::kC4w}));
  for (const char* name : {"w_codes", "w_scale"}) {
    EXPECT_EQ(program.functions[0]->find(name)->weight, program.functions[1]->find(name)->weight);
  }
}

TEST(QuantizeLinears, AgainChangesNothing) {
  auto program = parsed(kLinear);
  const std::string once =
      after(program, [](auto& p) { return quantize_all_linears(p, {quant::kC4w}); });
  EXPECT_EQ(after(program, [](auto& p) { return quantize_all_linears(p, {quant::kC4w}); }), once);
}

TEST(QuantizeLinears, GroupThatDoesNotDivideNamesTheWeightAndTheNearest) {
  const auto with_width = [](int first, int second) {
    return parsed(fmt::format(R"(func @f(%x: fp16[4,{0}], %y: fp16[4,{1}]) opset "CoreML8" {{
  %w1: fp16[8,{0}] = random(1)
  %w2: fp16[8,{1}] = random(2)
  %u: fp16[4,8] = linear(x=%x, weight=%w1, bias=fp16[8](0,0,0,0,0,0,0,0))
  %v: fp16[4,8] = linear(x=%y, weight=%w2, bias=fp16[8](0,0,0,0,0,0,0,0))
  return %u, %v
}})",
                              first, second));
  };
  auto one = twice(with_width(64, 172));
  EXPECT_EQ(
      error_of(quantize_all_linears(one, {quant::kB4w})),
      "linear weight w2 fp16[8,172]: its width is not a multiple of the group 32; the nearest "
      "valid group is 0 (a whole row)");
  auto both = with_width(64, 96);
  EXPECT_EQ(error_of(quantize_all_linears(both, {{4, 128}})),
            "2 linear weights have a width that is not a multiple of the group 128; the nearest "
            "valid group is 32\n  w1 fp16[8,64]\n  w2 fp16[8,96]");
  EXPECT_EQ(error_of(quantize_all_linears(both, {{5, 0}})),
            "quantisation to 5 bits: expected 4 or 8");
}

constexpr std::string_view kEmbedding = R"(func @forward(%t: int32[1,4]) opset "CoreML8" {
  %table: fp32[100,64] = random(1)
  %h: fp32[1,4,64] = gather(x=%table, indices=%t, axis=int32(0))
  %last: fp32[1,1,64] = gather(x=%h, indices=int32[1](3), axis=int32(1))
  return %last
}
)";

TEST(QuantizeEmbeddings, TableBecomesCodesAndScales) {
  auto program = parsed(kEmbedding);
  EXPECT_EQ(after(program,
                  [](auto& p) {
                    return quantize_embeddings(p, {{8, 0}});
                  }),
            R"(func @forward(%t: int32[1,4]) opset "CoreML8" {
  %table_codes: int8[100,64] = blob
  %table_scale: fp32[100,1] = blob
  %table_dequantized: fp32[100,64] = constexpr_blockwise_shift_scale(data=%table_codes, scale=%table_scale)
  %h: fp32[1,4,64] = gather(x=%table_dequantized, indices=%t, axis=int32(0))
  %last: fp32[1,1,64] = gather(x=%h, indices=int32[1](3), axis=int32(1))
  return %last
}
)");
}

TEST(QuantizeEmbeddings, EveryChoiceOfBitsAndGroup) {
  for (const int bits : {4, 8}) {
    for (const int64_t group : {0, 32, 64}) {
      auto program = parsed(kEmbedding);
      const std::string text = after(program, [&](auto& p) {
        return quantize_embeddings(p, {bits, group});
      });
      EXPECT_THAT(text, ::testing::HasSubstr(fmt::format("%table_codes: int{}[100,64]", bits)));
      EXPECT_THAT(text, ::testing::HasSubstr(fmt::format("%table_scale: fp32[100,{}]",
                                                         group == 0 ? 1 : 64 / group)));
    }
  }
  auto program = parsed(kEmbedding);
  EXPECT_EQ(error_of(quantize_embeddings(program, {{4, 128}})),
            "embedding table table fp32[100,64]: its width is not a multiple of the group 128; the "
            "nearest valid group is 64");
}

TEST(QuantizeEmbeddings, LinearsAndOtherGathersStay) {
  auto program = parsed(kLinear);
  EXPECT_EQ(after(program, [](auto& p) { return quantize_embeddings(p, {{8, 0}}); }), kLinear);
  auto columns = parsed(R"(func @f(%i: int32[2]) opset "CoreML8" {
  %w: fp16[8,64] = random(1)
  %e: fp16[8,2] = gather(x=%w, indices=%i, axis=int32(1))
  return %e
}
)");
  const std::string before = printed(columns);
  EXPECT_EQ(after(columns, [](auto& p) { return quantize_embeddings(p, {{8, 0}}); }), before);
}

}  // namespace
}  // namespace diptych::passes
