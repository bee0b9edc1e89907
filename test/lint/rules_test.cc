// Each rule finds the small program that breaks it, at its place, and passes over the one beside it
// that does the same as the rule wants.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "lint/lint.h"
#include "mil/text.h"

namespace diptych::lint {
namespace {

struct Case {
  std::string_view rule;
  std::string_view first;  // what the finding names
  std::string_view bad, good;
};

// Bodies of a function of these inputs; the last value is "r".
constexpr std::string_view kInputs =
    "%x: fp16[1,8,32,64], %h: fp16[1,32,256], %f: fp32[1,32,256], %i: int32[1,32], %q: fp16[256]";

constexpr Case kCases[] = {
    {"rank", "reshape 'r'", "%r: fp16[1,2,4,4,8,64] = reshape(x=%x, shape=int32[6](1,2,4,4,8,64))",
     "%r: fp16[1,2,4,32,64] = reshape(x=%x, shape=int32[5](1,2,4,32,64))"},
    {"dimension", "tile 'r'", "%r: fp16[1,16448] = tile(x=%r0, reps=int32[2](1,257))",
     "%r: fp16[1,16384] = tile(x=%r0, reps=int32[2](1,256))"},
    {"fp32", "mul 'r'", "%r: fp32[1,32,256] = mul(x=%f, y=%f)",
     "%a: fp16[1,32,256] = cast(x=%f, dtype=\"fp16\")\n%b: fp16[1,32,256] = mul(x=%a, y=%a)\n"
     "%r: fp32[1,32,256] = cast(x=%b, dtype=\"fp32\")"},
    {"fp32-literal", "mul 'b'",
     "%a: fp32[1,32,256] = cast(x=%h, dtype=\"fp32\")\n%b: fp32[1,32,256] = mul(x=%a, y=fp32(2))\n"
     "%r: fp16[1,32,256] = cast(x=%b, dtype=\"fp16\")",
     "%r: fp16[1,32,256] = mul(x=%h, y=fp16(2))"},
    {"int32", "add 'a'",
     "%w: fp16[64,256] = random(1)\n%a: int32[1,32] = add(x=%i, y=int32(3))\n"
     "%r: fp16[1,32,64] = linear(x=%h, weight=%w, bias=%bias)",
     "%w: fp16[64,256] = random(1)\n%r: fp16[1,32,64] = linear(x=%h, weight=%w, bias=%bias)"},
    {"gather-points", "gather_nd 'r'",
     "%p: int32[1,32,1] = expand_dims(x=%i, axes=int32[1](2))\n"
     "%r: fp16[1,32] = gather_nd(x=%q, indices=%p, batch_dims=int32(0), "
     "validate_indices=bool(false))",
     "%r: fp16[1,32] = gather(x=%q, indices=%i, axis=int32(0), batch_dims=int32(0), "
     "validate_indices=bool(false))"},
    {"dynamic-shape", "shape 'r'", "%r: int32[3] = shape(x=%h)", "%r: fp16[1,32,256] = relu(x=%h)"},
    {"state", "read_state 'a'",
     "%a: fp16[1,32,256] = read_state(input=%h)\n%r: fp16[1,32,256] = relu(x=%a)",
     "%r: fp16[1,32,256] = relu(x=%h)"},
    {"embedding", "gather 'g'",
     "%t: fp16[512,256] = random(1)\n%w: fp16[64,256] = random(2)\n"
     "%g: fp16[1,32,256] = gather(x=%t, indices=%i, axis=int32(0), batch_dims=int32(0), "
     "validate_indices=bool(false))\n%r: fp16[1,32,64] = linear(x=%g, weight=%w, bias=%bias)",
     "%t: fp16[512,256] = random(1)\n"
     "%r: fp16[1,32,256] = gather(x=%t, indices=%i, axis=int32(0), batch_dims=int32(0), "
     "validate_indices=bool(false))"},
    {"fused-attention", "scaled_dot_product_attention 'r'",
     "%r: fp16[1,8,32,64] = scaled_dot_product_attention(query=%x, key=%x, value=%x)",
     "%s: fp16[1,8,32,32] = matmul(x=%x, y=%x, transpose_x=bool(false), transpose_y=bool(true))\n"
     "%p: fp16[1,8,32,32] = softmax(x=%s, axis=int32(-1))\n"
     "%r: fp16[1,8,32,64] = matmul(x=%p, y=%x, transpose_x=bool(false), transpose_y=bool(false))"},
    {"infinity", "add 'r'", "%r: fp16[256] = add(x=%q, y=fp16(-inf))",
     "%r: fp16[256] = add(x=%q, y=fp16(-40000))"},
    {"beyond-fp16", "add 'r'", "%r: fp32[1,32,256] = add(x=%f, y=fp32(-1e+30))",
     "%r: fp32[1,32,256] = add(x=%f, y=fp32(-30000))"},
    {"norm-overflow", "mul 's'",
     "%s: fp16[1,32,256] = mul(x=%h, y=%h)\n"
     "%r: fp16[1,32,1] = reduce_mean(x=%s, axes=int32[1](-1), keep_dims=bool(true))",
     "%a: fp16[1,32,256] = abs(x=%h)\n"
     "%m: fp16[1,32,1] = reduce_max(x=%a, axes=int32[1](-1), keep_dims=bool(true))\n"
     "%d: fp16[1,32,256] = real_div(x=%h, y=%m)\n%s: fp16[1,32,256] = mul(x=%d, y=%d)\n"
     "%r: fp16[1,32,1] = reduce_mean(x=%s, axes=int32[1](-1), keep_dims=bool(true))"},
    {"linear", "linear 'r'",
     "%w: fp16[64,256] = random(1)\n%r: fp16[1,32,64] = linear(x=%h, weight=%w, bias=%bias)",
     "%w: fp16[16,8,1,1] = random(1)\n%r: fp16[1,16,32,64] = conv(x=%x, weight=%w)"},
    {"matmul-weight", "matmul 'r'",
     "%w: fp16[256,64] = random(1)\n%r: fp16[1,32,64] = matmul(x=%h, y=%w, "
     "transpose_x=bool(false), transpose_y=bool(false))",
     "%w: fp16[16,8,1,1] = random(1)\n%r: fp16[1,16,32,64] = conv(x=%x, weight=%w)"},
    {"group-scales", "constexpr_blockwise_shift_scale 'w'",
     "%d: int4[64,256] = random(1)\n%s: fp16[64,8] = random(2)\n"
     "%w: fp16[64,256] = constexpr_blockwise_shift_scale(data=%d, scale=%s)\n"
     "%r: fp16[1,32,64] = linear(x=%h, weight=%w, bias=%bias)",
     "%d: int4[64,256] = random(1)\n%s: fp16[64,1] = random(2)\n"
     "%w: fp16[64,256] = constexpr_blockwise_shift_scale(data=%d, scale=%s)\n"
     "%r: fp16[1,32,64] = linear(x=%h, weight=%w, bias=%bias)"},
    {"last-axis", "reshape 'r'", "%r: fp16[1,32,256,1] = reshape(x=%h, shape=int32[4](1,32,256,1))",
     "%r: fp16[1,32,1,256] = reshape(x=%h, shape=int32[4](1,32,1,256))"},
    {"alignment", "result 'r'", "%r: fp16[1,2731,6] = reshape(x=%x0, shape=int32[3](1,2731,6))",
     "%r: fp16[1,512,32] = reshape(x=%x, shape=int32[3](1,512,32))"},
    {"transpose", "transpose 'r'",
     "%t: fp16[128,8,32,64] = tile(x=%x, reps=int32[4](128,1,1,1))\n"
     "%r: fp16[128,8,64,32] = transpose(x=%t, perm=int32[4](0,1,3,2))",
     "%t: fp16[128,8,32,64] = tile(x=%x, reps=int32[4](128,1,1,1))\n"
     "%r: fp16[128,32,8,64] = transpose(x=%t, perm=int32[4](0,2,1,3))"},
    {"softmax", "softmax 'r'",
     "%t: fp16[512,8,32,64] = tile(x=%x, reps=int32[4](512,1,1,1))\n"
     "%r: fp16[512,8,32,64] = softmax(x=%t, axis=int32(-1))",
     "%t: fp16[512,8,32,64] = tile(x=%x, reps=int32[4](512,1,1,1))\n"
     "%r: fp16[512,8,32,64] = softmax(x=%t, axis=int32(1))"},
    {"cast-pair", "cast 'r'",
     "%a: fp32[1,32,256] = cast(x=%h, dtype=\"fp32\")\n%r: fp16[1,32,256] = cast(x=%a, "
     "dtype=\"fp16\")",
     "%r: fp32[1,32,256] = cast(x=%h, dtype=\"fp32\")"},
    {"norm-pieces", "reduce_mean 'v'",
     "%m: fp16[1,32,1] = reduce_mean(x=%h, axes=int32[1](-1), keep_dims=bool(true))\n"
     "%c: fp16[1,32,256] = sub(x=%h, y=%m)\n%s: fp16[1,32,256] = mul(x=%c, y=%c)\n"
     "%v: fp16[1,32,1] = reduce_mean(x=%s, axes=int32[1](-1), keep_dims=bool(true))\n"
     "%d: fp16[1,32,1] = rsqrt(x=%v, epsilon=fp16(1e-05))\n%r: fp16[1,32,256] = mul(x=%c, y=%d)",
     "%r: fp16[1,32,256] = layer_norm(x=%h, axes=int32[1](-1), epsilon=fp16(1e-05))"},
    {"all-logits", "result 'r'",
     "%w: fp16[16384,256] = random(1)\n%big: fp16[16384] = zeros\n"
     "%t: fp16[1,512,256] = tile(x=%h, reps=int32[3](1,16,1))\n"
     "%r: fp16[1,512,16384] = linear(x=%t, weight=%w, bias=%big)",
     "%w: fp16[16384,256] = random(1)\n%big: fp16[16384] = zeros\n"
     "%r: fp16[1,32,16384] = linear(x=%h, weight=%w, bias=%big)"},
    {"conv-stride", "conv 'r'",
     "%w: fp16[8,8,5,5] = random(1)\n%r: fp16[1,8,6,12] = conv(x=%x, weight=%w, "
     "strides=int32[2](5,5), pad_type=\"valid\")",
     "%w: fp16[8,8,4,4] = random(1)\n%r: fp16[1,8,8,16] = conv(x=%x, weight=%w, "
     "strides=int32[2](4,4), pad_type=\"valid\")"},
    {"conv-kernel", "conv 'r'",
     "%w: fp16[8,8,9,9] = random(1)\n%r: fp16[1,8,24,56] = conv(x=%x, weight=%w, "
     "pad_type=\"valid\")",
     "%w: fp16[8,8,5,5] = random(1)\n%r: fp16[1,8,28,60] = conv(x=%x, weight=%w, "
     "pad_type=\"valid\")"},
    {"conv-dilation", "conv 'r'",
     "%w: fp16[8,8,3,3] = random(1)\n%r: fp16[1,8,16,48] = conv(x=%x, weight=%w, "
     "pad_type=\"valid\", dilations=int32[2](8,8))",
     "%w: fp16[8,8,3,3] = random(1)\n%r: fp16[1,8,28,60] = conv(x=%x, weight=%w, "
     "pad_type=\"valid\", dilations=int32[2](2,2))"},
    {"pool-stride", "max_pool 'r'",
     "%r: fp16[1,8,10,21] = max_pool(x=%x, kernel_sizes=int32[2](3,3), strides=int32[2](3,3), "
     "pad_type=\"valid\")",
     "%r: fp16[1,8,15,31] = max_pool(x=%x, kernel_sizes=int32[2](3,3), strides=int32[2](2,2), "
     "pad_type=\"valid\")"},
    {"conv-pair", "conv 'r'",
     "%w: fp16[8,8,3,3] = random(1)\n%v: fp16[8,8,3,3] = random(2)\n"
     "%a: fp16[1,8,30,62] = conv(x=%x, weight=%w, pad_type=\"valid\")\n"
     "%r: fp16[1,8,28,60] = conv(x=%a, weight=%v, pad_type=\"valid\")",
     "%w: fp16[8,8,3,3] = random(1)\n%v: fp16[8,8,3,3] = random(2)\n"
     "%a: fp16[1,8,30,62] = conv(x=%x, weight=%w, pad_type=\"valid\")\n"
     "%b: fp16[1,8,30,62] = relu(x=%a)\n"
     "%r: fp16[1,8,28,60] = conv(x=%b, weight=%v, pad_type=\"valid\")"},
};

mil::Program program_of(std::string_view body) {
  std::string text = "func @main(" + std::string(kInputs) + ") opset \"CoreML8\" {\n";
  if (body.find("%bias") != body.npos) text += "%bias: fp16[64] = zeros\n";
  if (body.find("%r0") != body.npos) {
    text += "%r1: fp16[1,2,32] = reshape(x=fp16[64](";
    for (int i = 0; i < 64; ++i) text += i == 0 ? "1" : ",1";
    text += "), shape=int32[3](1,2,32))\n%r0: fp16[1,64] = reshape(x=%r1, shape=int32[2](1,64))\n";
  }
  if (body.find("%x0") != body.npos) {
    text +=
        "%x1: fp16[16384] = reshape(x=%x, shape=int32[1](16384))\n"
        "%x2: fp16[16386] = pad(x=%x1, pad=int32[2](1,1), mode=\"constant\", "
        "constant_val=fp16(0))\n%x0: fp16[1,16386] = reshape(x=%x2, shape=int32[2](1,16386))\n";
  }
  text += std::string(body) + "\nreturn %r\n}\n";
  auto program = mil::parse(text);
  EXPECT_TRUE(program.has_value()) << program.error().to_string() << "\n" << text;
  return program ? std::move(*program) : mil::Program();
}

std::vector<Finding> findings_of(const mil::Program& program) {
  Subject subject;
  subject.packages.push_back({"package 0", &program, 0});
  return lint(subject);
}

const Finding* find(const std::vector<Finding>& findings, std::string_view rule) {
  const auto found = std::find_if(findings.begin(), findings.end(),
                                  [&](const Finding& f) { return f.rule->id == rule; });
  return found == findings.end() ? nullptr : &*found;
}

TEST(Rules, EachFindsWhatBreaksItAndNothingElse) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.rule));
    const mil::Program bad = program_of(c.bad), good = program_of(c.good);
    const auto of_bad = findings_of(bad);
    const Finding* found = find(of_bad, c.rule);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->first, c.first);
    EXPECT_EQ(found->place, "package 0, function main");
    EXPECT_GE(found->count, 1u);
    EXPECT_FALSE(found->detail.empty());
    EXPECT_FALSE(found->rule->source.empty());
    EXPECT_EQ(find(findings_of(good), c.rule), nullptr);
  }
}

TEST(Rules, Recurrences) {
  const auto parsed = mil::parse(
      "func @main(%x: fp16[4,1,8], %h: fp16[1,16], %c: fp16[1,16]) opset \"CoreML8\" {\n"
      "%w: fp16[64,8] = random(1)\n%v: fp16[64,16] = random(2)\n"
      "%o: fp16[1,1,16], %oh: fp16[1,16], %oc: fp16[1,16] = lstm(x=%x, initial_h=%h, initial_c=%c, "
      "weight_ih=%w, weight_hh=%v)\nreturn %o\n}\n");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
  EXPECT_NE(find(findings_of(*parsed), "recurrent"), nullptr);
}

TEST(Rules, InputsThatNobodyReads) {
  const auto parsed = mil::parse(
      "func @main(%x: fp16[1,32], %y: fp16[1,32]) opset \"CoreML8\" {\n"
      "%r: fp16[1,32] = relu(x=%x)\nreturn %r\n}\n");
  ASSERT_TRUE(parsed.has_value());
  const auto findings = findings_of(*parsed);
  ASSERT_NE(find(findings, "unread-input"), nullptr);
  EXPECT_EQ(find(findings, "unread-input")->first, "input 'y'");
  EXPECT_EQ(find(findings, "unread-input")->count, 1u);
}

TEST(Rules, MasksAndSizesOfTheWhole) {
  const mil::Program program = program_of("%r: fp16[1,32,256] = relu(x=%h)");
  Subject subject;
  subject.packages = {{"package 0", &program, 999'999'999}, {"package 1", &program, 999'999'999}};
  subject.hidden = -40000.0F;
  for (const std::string_view rule : {"infinite-mask", "package-size", "bundle-size"}) {
    EXPECT_EQ(find(lint(subject), rule), nullptr) << rule;
  }
  subject.hidden = -INFINITY;
  subject.packages[1].weight_bytes = 1'000'000'002;
  const auto findings = lint(subject);
  ASSERT_NE(find(findings, "infinite-mask"), nullptr);
  EXPECT_EQ(find(findings, "infinite-mask")->rule->remedy, Remedy::FiniteMask);
  ASSERT_NE(find(findings, "package-size"), nullptr);
  EXPECT_EQ(find(findings, "package-size")->place, "package 1");
  ASSERT_NE(find(findings, "bundle-size"), nullptr);
  EXPECT_EQ(find(findings, "bundle-size")->bytes, 2'000'000'001u);
}

TEST(Rules, TheLayerIsThatOfTheNextWeight) {
  const auto parsed = mil::parse(
      "func @main(%x: fp16[1,64]) opset \"CoreML8\" {\n"
      "%layers_7_norm_weight: fp16[64] = random(1)\n%s: fp16[1,64] = mul(x=%x, y=%x)\n"
      "%m: fp16[1,1] = reduce_mean(x=%s, axes=int32[1](-1), keep_dims=bool(true))\n"
      "%n: fp16[1,64] = mul(x=%x, y=%m)\n%r: fp16[1,64] = mul(x=%n, y=%layers_7_norm_weight)\n"
      "return %r\n}\n");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
  const auto findings = findings_of(*parsed);
  ASSERT_NE(find(findings, "norm-overflow"), nullptr);
  EXPECT_EQ(find(findings, "norm-overflow")->layer, 7);
}

TEST(Rules, HaveATestEach) {
  std::set<std::string_view> tested = {"recurrent", "unread-input", "infinite-mask", "package-size",
                                       "bundle-size"};
  for (const Case& c : kCases) tested.insert(c.rule);
  std::set<std::string_view> all;
  for (const Rule* rule : rules()) EXPECT_TRUE(all.insert(rule->id).second) << rule->id;
  EXPECT_EQ(tested, all);
}

}  // namespace
}  // namespace diptych::lint
