#include "passes/cut_at_breaks.h"

#include <gmock/gmock.h>

#include "pass_testing.h"

namespace diptych::passes {
namespace {

using ::testing::ElementsAre;

CutMethod cut(std::string_view text, const CutOrder& order = {}) {
  const mil::Program program = parsed(text);
  auto result = cut_at_breaks(*program.functions.at(0), order);
  EXPECT_TRUE(result.has_value()) << result.error().to_string();
  if (!result) return {};
  for (const Partition& partition : result->partitions) {
    const Status verified = mil::verify(*partition.function);
    EXPECT_TRUE(verified.has_value()) << verified.error().to_string();
    // Bindings and functions say the same.
    EXPECT_EQ(partition.inputs.size(), partition.function->inputs.size());
    EXPECT_EQ(partition.outputs.size(), partition.function->outputs.size());
    for (size_t i = 0; i < partition.inputs.size(); ++i) {
      EXPECT_EQ(result->values.at(partition.inputs[i]).type, partition.function->inputs[i]->type);
    }
    for (size_t i = 0; i < partition.outputs.size(); ++i) {
      EXPECT_EQ(result->values.at(partition.outputs[i]).type, partition.function->outputs[i]->type);
    }
  }
  return std::move(*result);
}

std::vector<std::string> names(const CutMethod& method, const std::vector<size_t>& indices) {
  std::vector<std::string> found;
  for (const size_t index : indices) found.push_back(method.values.at(index).name);
  return found;
}
std::vector<std::string> names(const std::vector<mil::Value*>& values) {
  std::vector<std::string> found;
  for (const mil::Value* value : values) found.push_back(value->name);
  return found;
}

// An embedding, a block with a cache, a head: the shape of an exported Llama.
constexpr std::string_view kModel =
    R"(func @forward(%t: int32[1,2], %cos: fp16[32], %cache: fp16[1,2,32], %pos: int32[1]) opset "CoreML8" {
  %table: fp16[100,32] = random(1)
  %data: int4[32,32] = random(2)
  %scale: fp16[32,1] = random(3)
  %bias: fp16[32] = zeros
  %w: fp16[32,32] = constexpr_blockwise_shift_scale(data=%data, scale=%scale)
  %e: fp16[1,2,32] = gather(x=%table, indices=%t, axis=int32(0))
  %h: fp16[1,2,32] = diptych.graph_break(values=[%e])
  %v: fp16[1,2,32] = linear(x=%h, weight=%w, bias=%bias)
  %k: fp16[1,2,32] = mul(x=%v, y=%cos)
  %a: fp16[1,2,32] = add(x=%k, y=%cache)
  %o: fp16[1,2,32] = add(x=%h, y=%a)
  %o_out: fp16[1,2,32] = diptych.graph_break(values=[%o])
  %last: fp16[1,1,32] = gather(x=%o_out, indices=%pos, axis=int32(1))
  %logits: fp16[1,1,32] = linear(x=%last, weight=%w, bias=%bias)
  return %logits, %k, %v
}
)";

TEST(CutAtBreaks, EveryPartitionIsAFunction) {
  const CutMethod method = cut(kModel);
  EXPECT_EQ(method.name, "forward");
  ASSERT_EQ(method.partitions.size(), 3u);
  EXPECT_EQ(printed(*method.partitions[0].function),
            R"(func @forward(%t: int32[1,2]) opset "CoreML8" {
  %table: fp16[100,32] = random(1)
  %e: fp16[1,2,32] = gather(x=%table, indices=%t, axis=int32(0))
  return %e
}
)");
  EXPECT_EQ(
      printed(*method.partitions[1].function),
      R"(func @forward(%h: fp16[1,2,32], %cos: fp16[32], %cache: fp16[1,2,32]) opset "CoreML8" {
  %data: int4[32,32] = random(2)
  %scale: fp16[32,1] = random(3)
  %bias: fp16[32] = zeros
  %w: fp16[32,32] = constexpr_blockwise_shift_scale(data=%data, scale=%scale)
  %v: fp16[1,2,32] = linear(x=%h, weight=%w, bias=%bias)
  %k: fp16[1,2,32] = mul(x=%v, y=%cos)
  %a: fp16[1,2,32] = add(x=%k, y=%cache)
  %o: fp16[1,2,32] = add(x=%h, y=%a)
  return %v, %k, %o
}
)");
  EXPECT_EQ(printed(*method.partitions[2].function),
            R"(func @forward(%o_out: fp16[1,2,32], %pos: int32[1]) opset "CoreML8" {
  %data: int4[32,32] = random(2)
  %scale: fp16[32,1] = random(3)
  %bias: fp16[32] = zeros
  %w: fp16[32,32] = constexpr_blockwise_shift_scale(data=%data, scale=%scale)
  %last: fp16[1,1,32] = gather(x=%o_out, indices=%pos, axis=int32(1))
  %logits: fp16[1,1,32] = linear(x=%last, weight=%w, bias=%bias)
  return %logits
}
)");
}

TEST(CutAtBreaks, BindingsLeadFromInputsToOutputs) {
  const CutMethod method = cut(kModel);
  ASSERT_EQ(method.partitions.size(), 3u);
  EXPECT_EQ(method.input_count, 4u);
  EXPECT_THAT(names(method, method.partitions[0].inputs), ElementsAre("t"));
  EXPECT_THAT(names(method, method.partitions[0].outputs), ElementsAre("e"));
  EXPECT_THAT(names(method, method.partitions[1].inputs), ElementsAre("e", "cos", "cache"));
  EXPECT_THAT(names(method, method.partitions[1].outputs), ElementsAre("v", "k", "o"));
  EXPECT_THAT(names(method, method.partitions[2].inputs), ElementsAre("o", "pos"));
  EXPECT_THAT(method.partitions[2].outputs, ElementsAre(method.values.size() - 1));
  EXPECT_THAT(names(method, method.outputs), ElementsAre("logits", "k", "v"));
}

TEST(CutAtBreaks, WeightsStayShared) {
  const CutMethod method = cut(kModel);
  ASSERT_EQ(method.partitions.size(), 3u);
  EXPECT_EQ(method.partitions[1].function->find("data")->weight,
            method.partitions[2].function->find("data")->weight);
}

TEST(CutAtBreaks, OrdersMayBeGiven) {
  const CutMethod method = cut(kModel, {{"cache", "unknown", "h"}, {"k", "logits"}});
  ASSERT_EQ(method.partitions.size(), 3u);
  EXPECT_THAT(names(method.partitions[1].function->inputs), ElementsAre("cache", "h", "cos"));
  EXPECT_THAT(names(method, method.partitions[1].inputs), ElementsAre("cache", "e", "cos"));
  EXPECT_THAT(names(method.partitions[1].function->outputs), ElementsAre("k", "v", "o"));
  EXPECT_THAT(names(method, method.partitions[1].outputs), ElementsAre("k", "v", "o"));
  EXPECT_THAT(names(method, method.outputs), ElementsAre("logits", "k", "v"));
}

TEST(CutAtBreaks, WithoutBreaksThereIsOnePartition) {
  const CutMethod method = cut(R"(func @f(%b: fp16[32], %a: fp16[32]) opset "CoreML8" {
  %unused: fp16[32] = silu(x=%b)
  %c: fp16[32] = add(x=%a, y=%b)
  return %c
}
)");
  ASSERT_EQ(method.partitions.size(), 1u);
  EXPECT_EQ(printed(*method.partitions[0].function),
            R"(func @f(%a: fp16[32], %b: fp16[32]) opset "CoreML8" {
  %c: fp16[32] = add(x=%a, y=%b)
  return %c
}
)");
  EXPECT_THAT(method.partitions[0].inputs, ElementsAre(1, 0));
  EXPECT_THAT(method.outputs, ElementsAre(2));
}

TEST(CutAtBreaks, ValuesUsedByLaterPartitionsAreProducedOnce) {
  // %a passes the first break under a name and is used beyond the second under its own.
  const CutMethod method = cut(R"(func @f(%x: fp16[32]) opset "CoreML8" {
  %a: fp16[32] = silu(x=%x)
  %a1: fp16[32], %x1: fp16[32] = diptych.graph_break(values=[%a, %x])
  %b: fp16[32] = add(x=%a1, y=%x1)
  %b1: fp16[32], %a2: fp16[32] = diptych.graph_break(values=[%b, %a1])
  %c: fp16[32] = mul(x=%b1, y=%a)
  %d: fp16[32] = mul(x=%c, y=%a2)
  return %d, %a1, %d
}
)");
  ASSERT_EQ(method.partitions.size(), 3u);
  EXPECT_THAT(names(method.partitions[0].function->outputs), ElementsAre("a"));
  EXPECT_THAT(names(method.partitions[1].function->inputs), ElementsAre("a1", "x1"));
  EXPECT_THAT(names(method, method.partitions[1].inputs), ElementsAre("a", "x"));
  EXPECT_THAT(names(method.partitions[2].function->inputs), ElementsAre("b1", "a"));
  EXPECT_THAT(names(method, method.partitions[2].inputs), ElementsAre("b", "a"));
  EXPECT_THAT(names(method, method.outputs), ElementsAre("d", "a", "d"));
}

TEST(CutAtBreaks, BreaksWithNothingInBetweenAreOne) {
  const CutMethod method = cut(R"(func @f(%x: fp16[32], %y: fp16[32]) opset "CoreML8" {
  %x0: fp16[32] = diptych.graph_break(values=[%x])
  %a: fp16[32] = silu(x=%x0)
  %a1: fp16[32] = diptych.graph_break(values=[%a])
  %a2: fp16[32] = diptych.graph_break(values=[%a1])
  %b: fp16[32] = silu(x=%a2)
  %b1: fp16[32] = diptych.graph_break(values=[%b])
  return %b1, %y
}
)");
  ASSERT_EQ(method.partitions.size(), 2u);
  EXPECT_THAT(names(method.partitions[0].function->inputs), ElementsAre("x0"));
  EXPECT_THAT(names(method.partitions[1].function->inputs), ElementsAre("a2"));
  EXPECT_THAT(names(method.partitions[1].function->outputs), ElementsAre("b"));
  // %y goes straight through.
  EXPECT_THAT(names(method, method.outputs), ElementsAre("b", "y"));
}

TEST(CutAtBreaks, DequantisationGoesWithItsUserThoughItStandsFirst) {
  const CutMethod method = cut(R"(func @f(%x: fp16[1,32]) opset "CoreML8" {
  %d1: int4[32,32] = random(1)
  %d2: int4[32,32] = random(2)
  %s: fp16[32,1] = random(3)
  %b: fp16[32] = zeros
  %w1: fp16[32,32] = constexpr_blockwise_shift_scale(data=%d1, scale=%s)
  %w2: fp16[32,32] = constexpr_blockwise_shift_scale(data=%d2, scale=%s)
  %x1: fp16[1,32] = diptych.graph_break(values=[%x])
  %y: fp16[1,32] = linear(x=%x1, weight=%w2, bias=%b)
  %y1: fp16[1,32] = diptych.graph_break(values=[%y])
  %z: fp16[1,32] = linear(x=%y1, weight=%w1, bias=%b)
  return %z
}
)");
  ASSERT_EQ(method.partitions.size(), 2u);
  EXPECT_EQ(method.partitions[0].function->find("w1"), nullptr);
  EXPECT_NE(method.partitions[0].function->find("w2"), nullptr);
  EXPECT_NE(method.partitions[1].function->find("w1"), nullptr);
  EXPECT_EQ(method.partitions[1].function->find("w2"), nullptr);
}

TEST(CutAtBreaks, AnOutputThatIsAConstantIsRefused) {
  const mil::Program program = parsed(R"(func @f(%x: fp16[32]) opset "CoreML8" {
  %c: fp16[32] = random(1)
  %y: fp16[32] = silu(x=%x)
  return %y, %c
}
)");
  const auto result = cut_at_breaks(*program.functions[0]);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().to_string(),
            "@f: output %c is a constant, which no partition would produce");
}

}  // namespace
}  // namespace diptych::passes
