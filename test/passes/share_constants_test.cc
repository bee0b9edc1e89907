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
