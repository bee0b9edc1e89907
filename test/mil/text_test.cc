#include "mil/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/half.h"
#include "testing/shared_data.h"

namespace diptych::mil {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kCanonical =
    R"(func @forward(%x: fp16[1,32,64], %n: int32) opset "CoreML8" {
  %w: int4[64,64] = random(7)
  %s: fp16[64,2] = iota
  %bias: fp16[64] = zeros
  %out: int32[2] = int32[2](1,-1)
  %label: string = "a \"b\" \\ \x0a\xc3\xa9"
  %W: fp16[64,64] = constexpr_blockwise_shift_scale(data=%w, scale=%s)
  %m: fp16[1,32,64] = linear(x=%x, weight=%W, bias=%bias)
  %r: fp16[1,32,1] = reduce_mean(x=%m, axes=int32[1](-1), keep_dims=bool(true))
  %e: fp16[1,32,1] = rsqrt(x=%r, epsilon=fp32(1e-12))
  %c: fp16[1,32,64] = concat(values=[%m], axis=int32(-1), interleave=bool(false))
  %i: int16[2] = cast(x=int32[2](3,4), dtype="int16")
  %a: fp16[1,32,32], %"b c": fp16[1,32,32] = split(x=%c, axis=int32(-1), num_splits=int32(2))
  %q: fp16[1,4] = constexpr_blockwise_shift_scale(data=int4[1,4](-8,7,0,1), scale=fp16[1,1](0.1))
  %0: fp16[2] = vendor.custom("odd param"=%a, empty=[], many=[%a, fp8e5m2(0x7c)])
  "return"(x=%"b c")
  return %a, %out, %label
}

func @"two words"() opset "CoreML7" {
  return
}
)";

TEST(Text, CanonicalTextSurvivesParsingAndPrinting) {
  const auto program = parse(kCanonical);
  ASSERT_OK(program);
  EXPECT_EQ(print(*program), kCanonical);
}

TEST(Text, ParsesIntoTheIr) {
  const auto program = parse(kCanonical);
  ASSERT_OK(program);
  ASSERT_EQ(program->functions.size(), 2u);
  const Function& f = *program->functions[0];
  EXPECT_EQ(program->functions[1]->name, "two words");
  EXPECT_EQ(program->functions[1]->opset, "CoreML7");
  EXPECT_EQ(f.find("label")->text, "a \"b\" \\ \n\xC3\xA9");
  const Op& mean = *f.find("r")->producer;
  EXPECT_EQ(constant_ints(*mean.operand("axes")), (std::vector<int64_t>{-1}));
  EXPECT_EQ(mean.operand("axes")->name, "r_axes_0");
  EXPECT_EQ(constant_string(*f.find("i")->producer->operand("dtype")), "int16");
  const Op& custom = *f.find("0")->producer;
  EXPECT_EQ(custom.operand_list("many").size(), 2u);
  EXPECT_EQ(custom.operands[1].values.size(), 0u);
  // 4-bit elements are packed low nibble first.
  const auto packed = f.find("q")->producer->operand("data")->weight->bytes();
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ(std::vector<std::byte>(packed->begin(), packed->end()),
            (std::vector<std::byte>{std::byte{0x78}, std::byte{0x10}}));
}

TEST(Text, CommentsAndSpaceAreFree) {
  const auto program = parse(
      "// before\nfunc@f(%x:fp16[2])opset\"CoreML8\"{%y:fp16[2]=add(y=%x,x=%x)//in\n "
      "return%y}//end");
  ASSERT_OK(program);
  EXPECT_EQ(print(*program),
            "func @f(%x: fp16[2]) opset \"CoreML8\" {\n"
            "  %y: fp16[2] = add(x=%x, y=%x)\n"
            "  return %y\n"
            "}\n");
}

TEST(Text, InlineConstantsNeverTakeDeclaredNames) {
  constexpr std::string_view kText =
      R"(func @f(%x: fp16[2,2], %y_axes_0_1: fp16[2]) opset "CoreML8" {
  %y: fp16[2] = reduce_sum(x=%x, axes=int32[1](0))
  %y_axes_0: fp16[2] = add(x=%y, y=%y_axes_0_1)
  custom(p=int32(1))
  custom(p=int32(2))
  return %y_axes_0
}
)";
  const auto program = parse(kText);
  ASSERT_OK(program);
  EXPECT_EQ(print(*program), kText);
}

// Every fp16 value, as a constant, comes back with the same bits.
TEST(Text, FloatsKeepTheirBits) {
  for (uint32_t bits = 0; bits < 0x10000; bits += 16) {
    std::vector<std::byte> packed;
    for (uint32_t i = 0; i < 16; ++i) {
      packed.push_back(std::byte((bits + i) & 0xFF));
      packed.push_back(std::byte((bits + i) >> 8));
    }
    Program program;
    program.functions.push_back(std::make_unique<Function>("f"));
    Function& f = *program.functions[0];
    f.outputs = {f.add_constant("c", memory_weight({DType::F16, {16}}, packed).value())};
    const std::string text = print(program);
    const auto parsed = parse(text);
    ASSERT_OK(parsed);
    const auto again = parsed->functions[0]->outputs[0]->weight->bytes();
    ASSERT_TRUE(again.has_value());
    ASSERT_TRUE(std::equal(packed.begin(), packed.end(), again->begin(), again->end())) << text;
  }
}

TEST(Text, ElementsOfEveryType) {
  constexpr std::string_view kText = R"(func @f() opset "CoreML8" {
  %a: fp32[6] = fp32[6](0.1,-0,3.4028235e+38,inf,-inf,nan)
  %b: fp32[2] = fp32[2](0xffc00001,1e-45)
  %c: fp64[2] = fp64[2](0.1,1.7976931348623157e+308)
  %d: bf16[2] = bf16[2](0.1,-256)
  %e: uint64[2] = uint64[2](0,18446744073709551615)
  %g: int64[2] = int64[2](-9223372036854775808,9223372036854775807)
  %h: uint3[3] = uint3[3](7,0,5)
  %i: uint6[2] = uint6[2](63,1)
  %j: bool[2] = bool[2](true,false)
  %k: int32[0] = int32[0]()
  %l: int8[2] = int8[2](-128,127)
  return %a, %b, %c, %d, %e, %g, %h, %i, %j, %k, %l
}
)";
  const auto program = parse(kText);
  ASSERT_OK(program);
  EXPECT_EQ(print(*program), kText);
}

TEST(Text, BlobsComeFromTheCaller) {
  const WeightRef weight = diptych::constant_ints(DType::Int8, {20}, std::vector<int64_t>(20, 3));
  Program program;
  program.functions.push_back(std::make_unique<Function>("f"));
  Function& f = *program.functions[0];
  f.outputs = {f.add_constant("w", weight)};
  const std::string text = print(program);
  EXPECT_THAT(text, HasSubstr("%w: int8[20] = blob(\""));

  EXPECT_FALSE(parse(text).has_value());
  std::string asked;
  const BlobLookup lookup = [&](std::string_view name, const TensorType&) -> Result<WeightRef> {
    asked = name;
    return weight;
  };
  const auto parsed = parse(text, lookup);
  ASSERT_OK(parsed);
  EXPECT_EQ(asked.size(), 16u);
  EXPECT_EQ(parsed->functions[0]->outputs[0]->weight, weight);
  EXPECT_EQ(print(*parsed), text);

  const auto other = parse("func @f() opset \"o\" { %w: int8[21] = blob(\"x\") return }", lookup);
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().to_string(),
            "line 1, column 38: blob(\"x\") is int8[20], expected int8[21]");
}

struct BadText {
  std::string_view text, error;
};

void PrintTo(const BadText& bad, std::ostream* out) { *out << bad.text; }

class TextErrors : public ::testing::TestWithParam<BadText> {};

TEST_P(TextErrors, NameThePlace) {
  const auto parsed = parse(GetParam().text);
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().to_string(), GetParam().error);
}

constexpr BadText kBadTexts[] = {
    {"fun", "line 1, column 1: expected 'func', found \"fun\""},
    {"func @", "line 1, column 6: expected a name"},
    {"func @f(", "line 1, column 9: expected a %name, found the end"},
    {"func @f(%x: fp17)", "line 1, column 13: unknown element type \"fp17\""},
    {"func @f(%x: fp16[-1])", "line 1, column 18: expected a dimension, found \"-1\""},
    {"func @f(%x: fp16[1.5])", "line 1, column 18: expected a dimension, found \"1.5\""},
    {"func @f(%x: fp16, %x: fp16)", "line 1, column 19: %x is defined already"},
    {"func @f(%x: fp16,)", "line 1, column 18: expected a %name, found \")\""},
    {"func @f() opset \"o\" {\n  %y: fp16 = add(x=%z, y=%z)",
     "line 2, column 20: %z is not defined here"},
    {"func @f() opset \"o\" {\n  %y: fp16 = ",
     "line 2, column 14: expected an operation, found the end"},
    {"func @f() opset \"o\" { %y: fp16, = f() }",
     "line 1, column 33: expected a %name, found \"=\""},
    {"func @f() opset \"o\" { %y: fp16, %y: fp16 = f() }",
     "line 1, column 33: %y is defined already"},
    {"func @f() opset \"o\" { %y: int8 = int8(128) }",
     "line 1, column 39: expected a value of int8, found \"128\""},
    {"func @f() opset \"o\" { %y: fp16 = fp16(70000) }",
     "line 1, column 39: expected a value of fp16, found \"70000\""},
    {"func @f() opset \"o\" { %y: fp16[2] = fp16[2](1) }",
     "line 1, column 37: fp16[2] has 2 elements, found 1"},
    {"func @f() opset \"o\" { %y: fp16[2] = fp16[3](1,2,3) }",
     "line 1, column 37: %y is declared fp16[2], found fp16[3]"},
    {"func @f() opset \"o\" { zeros return }", "line 1, column 23: a constant has one name"},
    {"func @f() opset \"o\" { %y: fp16 = func }", "line 1, column 34: 'func' cannot stand here"},
    {"func @f() opset \"o\" { %y: fp16 = \"s\" }",
     "line 1, column 34: a string is the value of one constant of type string"},
    {"func @f() opset \"o\" { %y: fp16 = random(-1) }",
     "line 1, column 41: expected a value of uint64, found \"-1\""},
    {"func @f() opset \"o\" { %y: fp8e5m2[99] = iota }",
     "line 1, column 41: iota of fp8e5m2[99] is not supported"},
    {"func @f() opset \"o\" { %y: int8[20] = blob(\"x\") }",
     "line 1, column 38: the contents of blob(\"x\") are not at hand"},
    {"func @f(%x: fp16[2]) opset \"CoreML8\" { %y: fp16[3] = silu(x=%x) }",
     "line 1, column 54: %y is declared fp16[3], inferred is fp16[2]"},
    {"func @f(%x: fp16[2]) opset \"CoreML8\" { %y: fp16[2] = silu(z=%x) }",
     "line 1, column 54: silu %y: unknown parameter 'z'"},
    {"func @f() opset \"o\n\"", "line 1, column 17: this string has no end on its line"},
    {"func @f() opset \"\\q\"",
     "line 1, column 17: expected \\\", \\\\ or \\xHH after a backslash in this string"},
    {"func @f() opset \"o\" { return } ?", "line 1, column 32: unexpected character \"?\""},
    {"func @f() opset \"o\" { return }\nfunc @f() opset \"o\" { return }",
     "line 2, column 1: another function is named \"f\""},
};
INSTANTIATE_TEST_SUITE_P(Texts, TextErrors, ::testing::ValuesIn(kBadTexts));

}  // namespace
}  // namespace diptych::mil
