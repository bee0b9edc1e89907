#include "passes/pass.h"

#include <gmock/gmock.h>

#include <set>

#include "pass_testing.h"

namespace diptych::passes {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kPassModel = R"(func @forward(%t: int32[1,2]) opset "CoreML8" {
  %table: fp16[100,32] = random(1)
  %w: fp16[64,32] = random(2)
  %b: fp16[64] = zeros
  %e: fp16[1,2,32] = gather(x=%table, indices=%t, axis=int32(0))
  %h: fp16[1,2,32] = diptych.graph_break(values=[%e])
  %y: fp16[1,2,64] = linear(x=%h, weight=%w, bias=%b)
  return %y
}
)";

TEST(Passes, HaveDifferentNamesAndDescriptions) {
  std::set<std::string_view> names;
  for (const Pass& pass : all_passes()) {
    names.insert(pass.name);
    EXPECT_FALSE(pass.description.empty());
    EXPECT_EQ(find_pass(pass.name).value(), &pass);
  }
  EXPECT_EQ(names.size(), all_passes().size());
  EXPECT_THAT(find_pass("fuse").error().to_string(),
              HasSubstr("no pass is named 'fuse'; there are split-linears, "));
}

TEST(Passes, RunInOrderUnderTheObserversEyes) {
  auto program = parsed(kPassModel);
  PassOptions options;
  options.split = {32, 8};
  options.linear = quant::Quantization{{4, 32}};
  const std::string_view names[] = {"split-linears", "quantize-embeddings", "quantize-linears",
                                    "share-constants", "cut-at-breaks"};
  std::vector<std::string> seen;
  std::string last;
  ASSERT_OK(run_passes(program, names, options, [&](const Pass* done, const mil::Program& now) {
    seen.emplace_back(done ? done->name : "start");
    EXPECT_TRUE(mil::verify(now).has_value());
    EXPECT_NE(seen.back() == "share-constants" ? std::string() : last, printed(now));
    last = printed(now);
  }));
  EXPECT_THAT(seen, ::testing::ElementsAre("start", "split-linears", "quantize-embeddings",
                                           "quantize-linears", "share-constants", "cut-at-breaks"));
  EXPECT_EQ(last, R"(func @forward_0(%t: int32[1,2]) opset "CoreML8" {
  %table_codes: int8[100,32] = blob
  %table_scale: fp16[100,1] = blob
  %table_dequantized: fp16[100,32] = constexpr_blockwise_shift_scale(data=%table_codes, scale=%table_scale)
  %e: fp16[1,2,32] = gather(x=%table_dequantized, indices=%t, axis=int32(0))
  return %e
}

func @forward_1(%h: fp16[1,2,32]) opset "CoreML8" {
  %w_0_codes: int4[32,32] = blob
  %w_0_scale: fp16[32,1] = blob
  %b_0: fp16[32] = zeros
  %w_1_codes: int4[32,32] = blob
  %w_1_scale: fp16[32,1] = blob
  %b_1: fp16[32] = zeros
  %w_0_dequantized: fp16[32,32] = constexpr_blockwise_shift_scale(data=%w_0_codes, scale=%w_0_scale)
  %y_0: fp16[1,2,32] = linear(x=%h, weight=%w_0_dequantized, bias=%b_0)
  %w_1_dequantized: fp16[32,32] = constexpr_blockwise_shift_scale(data=%w_1_codes, scale=%w_1_scale)
  %y_1: fp16[1,2,32] = linear(x=%h, weight=%w_1_dequantized, bias=%b_1)
  %y: fp16[1,2,64] = concat(values=[%y_0, %y_1], axis=int32(-1), interleave=bool(false))
  return %y
}
)");
}

TEST(Passes, ErrorsNameThePass) {
  auto program = parsed(kPassModel);
  PassOptions options;
  options.split = {-1, 8};
  const std::string_view names[] = {"split-linears"};
  EXPECT_EQ(error_of(run_passes(program, names, options)),
            "split-linears: target split size -1: expected 0 (no split) or more");
}

}  // namespace
}  // namespace diptych::passes
