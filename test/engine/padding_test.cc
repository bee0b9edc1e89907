// What padding must hold numbers, and that the operations which skip it give the others' bits.
#include "engine/padding.h"

#include <gtest/gtest.h>

#include "engine/executable.h"
#include "engine_test_util.h"
#include "mil/text.h"

namespace diptych::engine {
namespace {

// The names of the values whose padding matters in a function of x [1,4,8] and the 4 tokens' tables
// and mask.
std::set<std::string> mattering(const std::string& body) {
  const auto program = mil::parse(
      "func @f(%x: fp32[1,4,8], %cos: fp32[4,4], %sin: fp32[4,4], %mask: fp32[1,4,12], "
      "%cache: fp32[1,2,8,4]) opset \"CoreML8\" {\n" +
      body + "}\n");
  EXPECT_TRUE(program) << program.error().to_string();
  const mil::Function& function = *program->functions[0];
  const auto axes = TokenAxes::find(function, {1, 0, 0, 1}).value();
  const Padding padding = Padding::find(function, axes);
  std::set<std::string> names;
  for (const auto& op : function.ops) {
    for (const mil::Value* result : op->results) {
      if (padding.matters(*result)) names.insert(result->name);
    }
  }
  return names;
}

using Names = std::set<std::string>;

TEST(Padding, NobodyReadsItInAChainOfRows) {
  EXPECT_EQ(mattering("  %a: fp32[1,4,8] = cpu.rms_norm(x=%x, epsilon=fp32(0.5))\n"
                      "  %b: fp32[1,4,8] = cpu.swiglu(gate=%a, up=%x)\n"
                      "  %y: fp32[1,4,8] = cpu.rms_norm(x=%b, epsilon=fp32(0.5))\n"
                      "  return %y\n"),
            Names{});
}

// Whether its result has tokens or not.
TEST(Padding, MattersToOperationsWithoutARule) {
  EXPECT_EQ(
      mattering("  %a: fp32[1,4,8] = cpu.rms_norm(x=%x, epsilon=fp32(0.5))\n"
                "  %y: fp32[8] = reduce_sum(x=%a, axes=int32[2](0,1), keep_dims=bool(false))\n"
                "  return %y\n"),
      Names{"a"});
  EXPECT_EQ(mattering("  %a: fp32[1,4,8] = cpu.rms_norm(x=%x, epsilon=fp32(0.5))\n"
                      "  %y: fp32[1,4,8] = relu(x=%a)\n"
                      "  return %y\n"),
            Names{"a"});
}

// Keys are multiplied by weights of 0, whatever they are; queries are not looked at.
TEST(Padding, MattersInKeysThroughShapesAndNotInQueries) {
  EXPECT_EQ(
      mattering(
          "  %a: fp32[1,4,8] = cpu.rms_norm(x=%x, epsilon=fp32(0.5))\n"
          "  %h: fp32[1,4,2,4] = reshape(x=%a, shape=int32[4](1,4,2,4))\n"
          "  %t: fp32[1,2,4,4] = transpose(x=%h, perm=int32[4](0,2,1,3))\n"
          "  %q: fp32[1,2,4,4] = cpu.rope(x=%t, cos=%cos, sin=%sin, interleaved=bool(false))\n"
          "  %k: fp32[1,2,4,4] = cpu.rope(x=%t, cos=%cos, sin=%sin, interleaved=bool(false))\n"
          "  %y: fp32[1,4,8] = cpu.attention(q=%q, k_cache=%cache, k=%k, v_cache=%cache, v=%t, "
          "mask=%mask, scale=fp32(0.5))\n"
          "  return %y\n"),
      (Names{"k", "t"}));
  EXPECT_EQ(mattering("  %a: fp32[1,4,8] = cpu.rms_norm(x=%x, epsilon=fp32(0.5))\n"
                      "  %h: fp32[1,4,2,4] = reshape(x=%a, shape=int32[4](1,4,2,4))\n"
                      "  %y: fp32[1,4,2,4] = relu(x=%h)\n"
                      "  return %y\n"),
            (Names{"a", "h"}));
}

// Rows that are not those of tokens are all computed, so they are read.
TEST(Padding, MattersWhereRowsAreNotTokens) {
  EXPECT_EQ(mattering("  %h: fp32[1,4,2,4] = reshape(x=%x, shape=int32[4](1,4,2,4))\n"
                      "  %t: fp32[1,2,4,4] = transpose(x=%h, perm=int32[4](0,2,1,3))\n"
                      "  %y: fp32[1,2,4,4] = cpu.rms_norm(x=%t, epsilon=fp32(0.5))\n"
                      "  return %y\n"),
            (Names{"t"}));
}

}  // namespace
}  // namespace diptych::engine
