#include "passes/share_constants.h"

#include "pass_testing.h"

namespace diptych::passes {
namespace {

TEST(ShareConstants, EqualSmallConstantsBecomeOneObject) {
  auto program = parsed(R"(func @a(%x: fp16[4,32]) opset "CoreML8" {
  %n: fp16[32] = random(1)
  %m: fp16[32] = random(1)
  %o: fp16[32] = random(2)
  %s: fp16[4,32] = mul(x=%x, y=%n)
  %t: fp16[4,32] = mul(x=%s, y=%m)
  %u: fp16[4,32] = mul(x=%t, y=%o)
  return %u
}
func @b(%x: fp16[4,32]) opset "CoreML8" {
  %n: fp16[32] = random(1)
  %o: fp32[32] = random(1)
  %s: fp16[4,32] = mul(x=%x, y=%n)
  %t: fp16[32] = cast(x=%o, dtype="fp16")
  return %s
}
)");
  const std::string before = printed(program);
  EXPECT_EQ(after(program, [](auto& p) { return share_constants(p); }), before);
  const mil::Function& a = *program.functions[0];
  const mil::Function& b = *program.functions[1];
  EXPECT_EQ(a.find("n")->weight, a.find("m")->weight);
  EXPECT_EQ(a.find("n")->weight, b.find("n")->weight);
  EXPECT_NE(a.find("n")->weight, a.find("o")->weight);
  EXPECT_NE(a.find("n")->weight, b.find("o")->weight);
}

// In place in the text, and one value of the function each.
TEST(ShareConstants, EqualParametersBecomeOneValueOfTheirFunction) {
  auto program = parsed(R"(func @a(%x: fp16[4,32]) opset "CoreML8" {
  %n: fp16[32] = random(1)
  %m: fp16[32] = random(1)
  %s: fp16[32,4] = transpose(x=%x, perm=int32[2](1,0))
  %t: fp16[4,32] = transpose(x=%s, perm=int32[2](1,0))
  %u: fp32[4,32] = cast(x=%t, dtype="fp32")
  %v: fp32[4,32] = softmax(x=%u, axis=int32(1))
  %w: fp32[4,32] = softmax(x=%v, axis=int32(0))
  %y: fp32[4,32] = softmax(x=%w, axis=int32(1))
  %z: fp16[4,32] = cast(x=%y, dtype="fp16")
  %o: fp16[4,32] = mul(x=%z, y=%n)
  %p: fp16[4,32] = mul(x=%o, y=%m)
  %q: fp32[4,32] = cast(x=%p, dtype="fp32")
  return %q
}
)");
  const std::string before = printed(program);
  EXPECT_EQ(after(program, [](auto& p) { return share_constants(p); }), before);
  const mil::Function& a = *program.functions[0];
  const auto parameter = [&](size_t op, std::string_view name) { return a.ops[op]->operand(name); };
  EXPECT_EQ(parameter(0, "perm"), parameter(1, "perm"));
  EXPECT_EQ(parameter(3, "axis"), parameter(5, "axis"));
  EXPECT_NE(parameter(3, "axis"), parameter(4, "axis"));
  EXPECT_EQ(parameter(2, "dtype"), parameter(9, "dtype"));
  EXPECT_NE(parameter(2, "dtype"), parameter(6, "dtype"));
  EXPECT_NE(a.find("n"), a.find("m"));
  EXPECT_EQ(parameter(0, "perm")->name, "int32s_1_0");
  EXPECT_EQ(parameter(3, "axis")->name, "int32_1");
}

TEST(ShareConstants, LargeOnesStayAsTheyAre) {
  auto program = parsed(R"(func @a(%x: fp32[1,262400]) opset "CoreML8" {
  %n: fp32[262400] = random(1)
  %m: fp32[262400] = random(1)
  %s: fp32[1,262400] = mul(x=%x, y=%n)
  %t: fp32[1,262400] = mul(x=%s, y=%m)
  return %t
}
)");
  ASSERT_OK(share_constants(program));
  EXPECT_NE(program.functions[0]->find("n")->weight, program.functions[0]->find("m")->weight);
}

}  // namespace
}  // namespace diptych::passes
