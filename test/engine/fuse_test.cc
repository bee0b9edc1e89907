// Text in, text out: what each fusion makes of the smallest program that it is for, and what it
// leaves alone. (test/exporter/fuse_test.cc runs whole models after every fusion.)
#include "engine/fuse/fuse.h"

#include <gtest/gtest.h>

#include <string>

#include "mil/text.h"
#include "mil/verify.h"
#include "testing/shared_data.h"

namespace diptych::engine {
namespace {

using Fusion = Status (*)(mil::Function& function);

// The lines of a function's body after a fusion, verified.
std::string after(Fusion fuse, const std::string& inputs, const std::string& body) {
  auto program = mil::parse("func @f(" + inputs + ") opset \"CoreML8\" {\n" + body + "}\n");
  EXPECT_TRUE(program.has_value()) << program.error().to_string();
  if (!program) return {};
  mil::Function& function = *program->functions.front();
  const Status status = fuse(function);
  EXPECT_TRUE(status.has_value()) << status.error().to_string();
  function.remove_dead();
  const Status verified = mil::verify(*program);
  EXPECT_TRUE(verified.has_value()) << verified.error().to_string();
  std::string text = mil::print(*program);
  text.erase(0, text.find('\n') + 1);
  text.resize(text.rfind("}\n"));
  return text;
}

void expect_left_alone(Fusion fuse, const std::string& inputs, const std::string& body) {
  const auto nothing = [](mil::Function&) { return Status(); };
  EXPECT_EQ(after(fuse, inputs, body), after(nothing, inputs, body));
}

// `text` with `from` replaced, which must be there.
std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// --- linears ---

TEST(FuseLinears, JoinsThePiecesOfASplitAndAllOfOneX) {
  EXPECT_EQ(after(fuse_linears, "%x: fp32[1,20]", R"(  %a: fp32[2,20] = random(1)
  %b: fp32[3,20] = random(2)
  %c: fp32[5,20] = random(3)
  %zero: fp32[2] = zeros
  %y0: fp32[1,2] = linear(x=%x, weight=%a, bias=%zero)
  %y1: fp32[1,3] = linear(x=%x, weight=%b)
  %y: fp32[1,5] = concat(values=[%y0, %y1], axis=int32(-1), interleave=bool(false))
  %z: fp32[1,5] = linear(x=%x, weight=%c)
  return %y, %z
)"),
            R"(  %a: fp32[2,20] = random(1)
  %b: fp32[3,20] = random(2)
  %c: fp32[5,20] = random(3)
  %y_1: fp32[1,5], %z_1: fp32[1,5] = cpu.linear(x=%x, weights=[%a, %b, %c], counts=int32[2](2,1))
  return %y_1, %z_1
)");
}

TEST(FuseLinears, DoesNotJoinABiasWithNone) {
  EXPECT_EQ(after(fuse_linears, "%x: fp32[1,20]", R"(  %a: fp32[2,20] = random(1)
  %b: fp32[3,20] = random(2)
  %bias: fp32[2] = iota
  %y0: fp32[1,2] = linear(x=%x, weight=%a, bias=%bias)
  %y1: fp32[1,3] = linear(x=%x, weight=%b)
  %y: fp32[1,5] = concat(values=[%y0, %y1], axis=int32(-1), interleave=bool(false))
  return %y
)"),
            R"(  %a: fp32[2,20] = random(1)
  %b: fp32[3,20] = random(2)
  %y0: fp32[1,2] = cpu.linear(x=%x, weights=[%a], biases=[fp32[2](0,1)])
  %y1: fp32[1,3] = cpu.linear(x=%x, weights=[%b])
  %y: fp32[1,5] = concat(values=[%y0, %y1], axis=int32(-1), interleave=bool(false))
  return %y
)");
}

// --- norms ---

const std::string kNorm = R"(  %gain: fp32[4] = iota
  %square: fp32[1,4] = mul(x=%x, y=%x)
  %mean: fp32[1,1] = reduce_mean(x=%square, axes=int32[1](-1), keep_dims=bool(true))
  %shifted: fp32[1,1] = add(x=%mean, y=fp32(0.25))
  %factor: fp32[1,1] = rsqrt(x=%shifted, epsilon=fp32(0.5))
  %normal: fp32[1,4] = mul(x=%x, y=%factor)
  %y: fp32[1,4] = mul(x=%normal, y=%gain)
  return %y
)";

TEST(FuseNorms, Plain) {
  EXPECT_EQ(after(fuse_norms, "%x: fp32[1,4]", kNorm),
            R"(  %y: fp32[1,4] = cpu.rms_norm(x=%x, weight=fp32[4](0,1,2,3), epsilon=fp32(0.75))
  return %y
)");
}

TEST(FuseNorms, WithoutAGain) {
  EXPECT_EQ(after(fuse_norms, "%x: fp32[1,4]",
                  with(with(kNorm, "return %y", "return %normal"),
                       "  %y: fp32[1,4] = mul(x=%normal, y=%gain)\n", "")),
            R"(  %normal: fp32[1,4] = cpu.rms_norm(x=%x, epsilon=fp32(0.75))
  return %normal
)");
}

TEST(FuseNorms, ScaledByTheLargestEntry) {
  EXPECT_EQ(after(fuse_norms, "%x: fp32[1,4]", R"(  %magnitude: fp32[1,4] = abs(x=%x)
  %largest: fp32[1,1] = reduce_max(x=%magnitude, axes=int32[1](-1), keep_dims=bool(true))
  %small: fp32[1,4] = real_div(x=%x, y=%largest)
  %square: fp32[1,4] = mul(x=%small, y=%small)
  %mean: fp32[1,1] = reduce_mean(x=%square, axes=int32[1](-1), keep_dims=bool(true))
  %shifted: fp32[1,1] = add(x=fp32(0.25), y=%mean)
  %root: fp32[1,1] = sqrt(x=%shifted)
  %norm: fp32[1,1] = mul(x=%root, y=%largest)
  %y: fp32[1,4] = real_div(x=%x, y=%norm)
  return %y
)"),
            R"(  %y: fp32[1,4] = cpu.rms_norm(x=%x, epsilon=fp32(0.25), relative_epsilon=bool(true))
  return %y
)");
}

// Rows divided by more than their largest entry, and epsilon with them.
const std::string kSafeNorm = R"(  %gain: fp32[4] = iota
  %magnitude: fp32[1,4] = abs(x=%x)
  %largest: fp32[1,1] = reduce_max(x=%magnitude, axes=int32[1](-1), keep_dims=bool(true))
  %divisor: fp32[1,1] = add(x=%largest, y=fp32(0.5))
  %share: fp32[1,1] = real_div(x=fp32(0.5), y=%divisor)
  %small: fp32[1,4] = real_div(x=%x, y=%divisor)
  %epsilon: fp32[1,1] = mul(x=%share, y=%share)
  %square: fp32[1,4] = mul(x=%small, y=%small)
  %mean: fp32[1,1] = reduce_mean(x=%square, axes=int32[1](-1), keep_dims=bool(true))
  %shifted: fp32[1,1] = add(x=%mean, y=%epsilon)
  %factor: fp32[1,1] = rsqrt(x=%shifted, epsilon=fp32(1e-12))
  %scale: fp32[1,1] = real_div(x=%factor, y=%divisor)
  %normal: fp32[1,4] = mul(x=%x, y=%scale)
  %y: fp32[1,4] = mul(x=%normal, y=%gain)
  return %y
)";

TEST(FuseNorms, DividedByMoreThanTheLargestEntry) {
  EXPECT_EQ(after(fuse_norms, "%x: fp32[1,4]", kSafeNorm),
            R"(  %y: fp32[1,4] = cpu.rms_norm(x=%x, weight=fp32[4](0,1,2,3), epsilon=fp32(0.25))
  return %y
)");
  // What does not cancel out.
  for (const auto& [from, to] :
       {std::pair("%small: fp32[1,4] = real_div(x=%x, y=%divisor)",
                  "%small: fp32[1,4] = real_div(x=%x, y=%largest)"),
        std::pair("real_div(x=fp32(0.5), y=%divisor)", "real_div(x=fp32(0.5), y=%largest)"),
        std::pair("real_div(x=%factor, y=%divisor)", "real_div(x=%factor, y=%largest)"),
        std::pair("epsilon=fp32(1e-12)", "epsilon=fp32(1e-3)")}) {
    expect_left_alone(fuse_norms, "%x: fp32[1,4]", with(kSafeNorm, from, to));
  }
}

TEST(FuseNorms, LeavesOtherMeansAlone) {
  expect_left_alone(fuse_norms, "%x: fp32[4,4]",
                    with(R"(  %square: fp32[4,4] = mul(x=%x, y=%x)
  %mean: fp32[1,4] = reduce_mean(x=%square, axes=int32[1](0), keep_dims=bool(true))
  %shifted: fp32[1,4] = add(x=%mean, y=fp32(0.25))
  %factor: fp32[1,4] = rsqrt(x=%shifted, epsilon=fp32(0.5))
  %y: fp32[4,4] = mul(x=%x, y=%factor)
  return %y
)",
                         "", ""));
  // The root of something else's square.
  expect_left_alone(fuse_norms, "%x: fp32[1,4], %other: fp32[1,4]",
                    with(kNorm, "mul(x=%x, y=%x)", "mul(x=%other, y=%other)"));
}

// --- rotations ---

const std::string kHalves =
    R"(  %left: fp32[1,1,2,2] = slice_by_index(x=%x, begin=int32[4](0,0,0,0), end=int32[4](1,1,2,2))
  %right: fp32[1,1,2,2] = slice_by_index(x=%x, begin=int32[4](0,0,0,2), end=int32[4](1,1,2,4))
  %negated: fp32[1,1,2,2] = mul(x=%right, y=fp32(-1))
  %turned: fp32[1,1,2,4] = concat(values=[%negated, %left], axis=int32(-1), interleave=bool(false))
  %straight: fp32[1,1,2,4] = mul(x=%x, y=%cos)
  %across: fp32[1,1,2,4] = mul(x=%turned, y=%sin)
  %y: fp32[1,1,2,4] = add(x=%straight, y=%across)
  return %y
)";
const std::string kHalvesInputs = "%x: fp32[1,1,2,4], %cos: fp32[2,4], %sin: fp32[2,4]";

TEST(FuseRopes, HalvesOfARow) {
  EXPECT_EQ(after(fuse_ropes, kHalvesInputs, kHalves),
            R"(  %y: fp32[1,1,2,4] = cpu.rope(x=%x, cos=%cos, sin=%sin, interleaved=bool(false))
  return %y
)");
}

TEST(FuseRopes, LeavesOtherTurnsAlone) {
  expect_left_alone(fuse_ropes, kHalvesInputs, with(kHalves, "y=fp32(-1)", "y=fp32(-2)"));
  expect_left_alone(fuse_ropes, kHalvesInputs,
                    with(kHalves, "[%negated, %left]", "[%left, %negated]"));
}

TEST(FuseRopes, Neighbours) {
  EXPECT_EQ(
      after(
          fuse_ropes, "%x: fp32[1,1,2,4], %cos: fp32[2,2], %sin: fp32[2,2]",
          R"(  %even: fp32[1,1,2,2] = slice_by_index(x=%x, begin=int32[4](0,0,0,0), end=int32[4](1,1,2,4), stride=int32[4](1,1,1,2))
  %odd: fp32[1,1,2,2] = slice_by_index(x=%x, begin=int32[4](0,0,0,1), end=int32[4](1,1,2,4), stride=int32[4](1,1,1,2))
  %ec: fp32[1,1,2,2] = mul(x=%even, y=%cos)
  %os: fp32[1,1,2,2] = mul(x=%odd, y=%sin)
  %es: fp32[1,1,2,2] = mul(x=%even, y=%sin)
  %oc: fp32[1,1,2,2] = mul(x=%odd, y=%cos)
  %first: fp32[1,1,2,2] = sub(x=%ec, y=%os)
  %second: fp32[1,1,2,2] = add(x=%es, y=%oc)
  %pairs: fp32[1,1,2,2,2] = stack(values=[%first, %second], axis=int32(-1))
  %y: fp32[1,1,2,4] = reshape(x=%pairs, shape=int32[4](1,1,2,4))
  return %y
)"),
      R"(  %pairs: fp32[1,1,2,4] = cpu.rope(x=%x, cos=%cos, sin=%sin, interleaved=bool(true))
  %y: fp32[1,1,2,4] = reshape(x=%pairs, shape=int32[4](1,1,2,4))
  return %y
)");
}

// --- attention ---

const std::string kAttention =
    R"(  %keys: fp32[1,1,4,2] = concat(values=[%k_cache, %k], axis=int32(2), interleave=bool(false))
  %values: fp32[1,1,4,2] = concat(values=[%v_cache, %v], axis=int32(2), interleave=bool(false))
  %products: fp32[1,1,1,4] = matmul(x=%q, y=%keys, transpose_x=bool(false), transpose_y=bool(true))
  %scaled: fp32[1,1,1,4] = mul(x=%products, y=fp32(0.5))
  %masked: fp32[1,1,1,4] = add(x=%scaled, y=%mask)
  %p: fp32[1,1,1,4] = softmax(x=%masked, axis=int32(-1))
  %o: fp32[1,1,1,2] = matmul(x=%p, y=%values, transpose_x=bool(false), transpose_y=bool(false))
  %t: fp32[1,1,1,2] = transpose(x=%o, perm=int32[4](0,2,1,3))
  %y: fp32[1,1,2] = reshape(x=%t, shape=int32[3](1,1,2))
  return %y
)";
const std::string kAttentionInputs =
    "%q: fp32[1,1,1,2], %k_cache: fp32[1,1,3,2], %k: fp32[1,1,1,2], %v_cache: fp32[1,1,3,2], "
    "%v: fp32[1,1,1,2], %mask: fp32[1,4]";

TEST(FuseAttention, OverACacheAndWhatIsNew) {
  EXPECT_EQ(
      after(fuse_attention, kAttentionInputs, kAttention),
      R"(  %y: fp32[1,1,2] = cpu.attention(q=%q, k_cache=%k_cache, k=%k, v_cache=%v_cache, v=%v, mask=%mask, scale=fp32(0.5))
  return %y
)");
}

const std::string kCapped = R"(  %small: fp32[1,1,1,4] = mul(x=%products, y=fp32(0.25))
  %bent: fp32[1,1,1,4] = tanh(x=%small)
  %scaled: fp32[1,1,1,4] = mul(x=%bent, y=fp32(2))
)";

TEST(FuseAttention, WithCappedScores) {
  const std::string scaled = "  %scaled: fp32[1,1,1,4] = mul(x=%products, y=fp32(0.5))\n";
  EXPECT_EQ(
      after(fuse_attention, kAttentionInputs, with(kAttention, scaled, kCapped)),
      R"(  %y: fp32[1,1,2] = cpu.attention(q=%q, k_cache=%k_cache, k=%k, v_cache=%v_cache, v=%v, mask=%mask, scale=fp32(0.5), cap=fp32(2))
  return %y
)");
  // A negative one is not a cap.
  expect_left_alone(fuse_attention, kAttentionInputs,
                    with(kAttention, scaled, with(kCapped, "fp32(2)", "fp32(-2)")));
}

TEST(FuseAttention, LeavesOtherProductsAlone) {
  expect_left_alone(
      fuse_attention, kAttentionInputs,
      with(kAttention, "softmax(x=%masked, axis=int32(-1))", "softmax(x=%masked, axis=int32(2))"));
  expect_left_alone(fuse_attention, kAttentionInputs,
                    with(kAttention, "perm=int32[4](0,2,1,3)", "perm=int32[4](0,1,2,3)"));
}

// --- gates and residuals ---

TEST(FuseGated, SiluTimesUp) {
  EXPECT_EQ(after(fuse_gated, "%gate: fp32[1,4], %up: fp32[1,4]", R"(  %s: fp32[1,4] = silu(x=%gate)
  %y: fp32[1,4] = mul(x=%up, y=%s)
  return %y
)"),
            R"(  %y: fp32[1,4] = cpu.swiglu(gate=%gate, up=%up)
  return %y
)");
}

TEST(FuseGated, ApproximateGeluTimesUp) {
  const std::string gelu = R"(  %g: fp32[1,4] = gelu(x=%gate, mode="TANH_APPROXIMATION")
  %y: fp32[1,4] = mul(x=%g, y=%up)
  return %y
)";
  const std::string inputs = "%gate: fp32[1,4], %up: fp32[1,4]";
  EXPECT_EQ(after(fuse_gated, inputs, gelu), R"(  %y: fp32[1,4] = cpu.geglu(gate=%gate, up=%up)
  return %y
)");
  expect_left_alone(fuse_gated, inputs, with(gelu, "TANH_APPROXIMATION", "EXACT"));
}

const std::string kResidual = R"(  %a: fp32[4,20] = random(1)
  %m: fp32[1,4] = cpu.linear(x=%x, weights=[%a])
  %y: fp32[1,4] = add(x=%r, y=%m)
  return %y
)";

TEST(FuseResiduals, WhatIsAddedToALinear) {
  EXPECT_EQ(after(fuse_residuals, "%x: fp32[1,20], %r: fp32[1,4]", kResidual),
            R"(  %a: fp32[4,20] = random(1)
  %y: fp32[1,4] = cpu.linear(x=%x, weights=[%a], residual=%r)
  return %y
)");
}

TEST(FuseResiduals, NotWhenOthersSeeTheProduct) {
  expect_left_alone(fuse_residuals, "%x: fp32[1,20], %r: fp32[1,4]",
                    with(kResidual, "return %y", "return %y, %m"));
}

}  // namespace
}  // namespace diptych::engine
