// Compressed weights: what each operation stands for, alone and on top of others, and that they are
// unpacked once where no kernel takes them as they are stored.
#include <gmock/gmock.h>

#include "engine/unpack.h"
#include "example.h"
#include "mil/text.h"
#include "testing/shared_data.h"

namespace diptych::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A function without inputs that gives %r.
std::unique_ptr<mil::Function> function_of(std::string_view statements, std::string_view opset) {
  auto program =
      mil::parse(fmt::format("func @main() opset \"{}\" {{\n{}\nreturn %r\n}}", opset, statements));
  if (!program) {
    ADD_FAILURE() << program.error().to_string();
    return nullptr;
  }
  return std::move(program->functions.front());
}

std::vector<float> weight_of(std::string_view statements, std::string_view opset = "CoreML8",
                             const RunOptions& options = {}) {
  const auto function = function_of(statements, opset);
  if (function == nullptr) return {};
  const auto outcome = try_run(*function, {}, options);
  if (!outcome) {
    ADD_FAILURE() << outcome.error().to_string();
    return {};
  }
  const Tensor& tensor = outcome->outputs[0];
  if (is_float(tensor.type.dtype)) return tensor.floats();
  const auto values = tensor.ints();
  return {values.begin(), values.end()};
}

std::string error_of(std::string_view statements, std::string_view opset = "CoreML8") {
  const auto function = function_of(statements, opset);
  if (function == nullptr) return "";
  const auto outcome = try_run(*function, {});
  return outcome ? "" : outcome.error().to_string();
}

TEST(Weights, OfScaledIntegers) {
  EXPECT_THAT(weight_of("%r: fp32[2,4] = constexpr_blockwise_shift_scale("
                        "data=int4[2,4](-8,7,0,1,2,3,4,5), scale=fp32[1,2](0.5,2), "
                        "offset=int4[1,2](0,1))"),
              ElementsAre(-4, 3.5, -2, 0, 1, 1.5, 6, 8));
  EXPECT_THAT(weight_of("%r: fp32[3] = constexpr_blockwise_shift_scale("
                        "data=uint8[3](0,100,255), scale=fp32[3](1,2,3), "
                        "offset=fp32[3](0.5,0,255))"),
              ElementsAre(-0.5, 200, 0));
}

TEST(Weights, OfScaledIntegersInTheFormOfIos16) {
  for (const std::string_view opset : {"CoreML6", "CoreML8"}) {
    EXPECT_THAT(weight_of("%r: fp32[2,3] = constexpr_affine_dequantize("
                          "quantized_data=int8[2,3](1,2,3,-4,5,6), zero_point=int8(1), "
                          "scale=fp32[3](1,10,100), axis=int32(-1))",
                          opset),
                ElementsAre(0, 10, 200, -5, 40, 500));
  }
  EXPECT_THAT(weight_of("%r: fp16[2,2] = constexpr_affine_dequantize("
                        "quantized_data=uint8[2,2](1,2,3,4), zero_point=uint8[2](1,3), "
                        "scale=fp16(2), axis=int32(0))",
                        "CoreML7"),
              ElementsAre(0, 2, 0, 2));
}

TEST(Weights, OfPalettes) {
  // Two tables along the first axis.
  EXPECT_THAT(weight_of("%r: fp32[2,2] = constexpr_lut_to_dense(indices=uint1[2,2](0,1,1,1), "
                        "lut=fp32[2,1,2,1](1,2,3,4))"),
              ElementsAre(1, 2, 4, 4));
  // Vectors along either axis.
  constexpr std::string_view kVectors =
      "%r: int8[{}] = constexpr_lut_to_dense(indices=uint1[2,2](0,1,1,0), "
      "lut=int8[1,1,2,2](1,2,3,4), vector_axis=int32({}))";
  EXPECT_THAT(weight_of(fmt::format(fmt::runtime(kVectors), "4,2", 0)),
              ElementsAre(1, 3, 2, 4, 3, 1, 4, 2));
  EXPECT_THAT(weight_of(fmt::format(fmt::runtime(kVectors), "2,4", -1)),
              ElementsAre(1, 2, 3, 4, 3, 4, 1, 2));
  // Six indices of two bits in two bytes, the lowest first: 0 1 2 3, 2 1.
  EXPECT_THAT(weight_of("%r: fp16[2,3] = constexpr_lut_to_dense(indices=uint8[2](228,6), "
                        "lut=fp16[4](10,20,30,40), shape=uint32[2](2,3))",
                        "CoreML6"),
              ElementsAre(10, 20, 30, 40, 30, 20));
}

TEST(Weights, OfMasks) {
  EXPECT_THAT(weight_of("%r: fp32[2,3] = constexpr_sparse_to_dense(nonzero_data=fp32[3](1,2,3), "
                        "mask=uint1[2,3](0,1,0,1,1,0))"),
              ElementsAre(0, 1, 0, 2, 3, 0));
  EXPECT_THAT(weight_of("%r: int8[2,3] = constexpr_sparse_to_dense(nonzero_data=int8[3](1,2,3), "
                        "mask=uint8[1](26), shape=uint32[2](2,3))",
                        "CoreML7"),
              ElementsAre(0, 1, 0, 2, 3, 0));
  EXPECT_THAT(weight_of("%r: fp16[2] = constexpr_sparse_to_dense(nonzero_data=fp16[0](), "
                        "mask=uint1[2](0,0))"),
              ElementsAre(0, 0));
}

// A sparse palette whose entries are integers that are scaled by column.
TEST(Weights, OnTopOfEachOther) {
  constexpr std::string_view kJoint =
      "%m: uint1[2,3], %q: int8[4] = constexpr_lut_to_sparse(indices_mask=uint1[2,3](1,1,0,0,1,1), "
      "indices_nonzero_data=uint1[4](0,1,1,0), lut=int8[1,1,2,1](5,7))\n"
      "%n: uint1[2,3], %d: fp32[4] = constexpr_sparse_blockwise_shift_scale(data_mask=%m, "
      "nonzero_data=%q, scale=fp32[1,3](1,10,100), offset=int8[1,3](0,0,1))\n"
      "%r: fp32[2,3] = constexpr_sparse_to_dense(nonzero_data=%d, mask=%n)";
  EXPECT_THAT(weight_of(kJoint), ElementsAre(5, 70, 0, 0, 70, 400));
  // Vectors expand the mask.
  EXPECT_THAT(
      weight_of(
          "%m: uint1[2,2], %d: fp32[2] = constexpr_lut_to_sparse(indices_mask=uint1[1,2](0,1), "
          "indices_nonzero_data=uint1[1](1), lut=fp32[1,1,2,2](1,2,3,4), "
          "vector_axis=int32(0))\n"
          "%r: fp32[2,2] = constexpr_sparse_to_dense(nonzero_data=%d, mask=%m)"),
      ElementsAre(0, 3, 0, 4));
  // Tables that are quantised.
  EXPECT_THAT(weight_of("%t: fp16[1,2,1] = constexpr_blockwise_shift_scale(data=int8[1,2,1](3,4), "
                        "scale=fp16[1,1,1](0.5))\n"
                        "%h: fp16[3] = constexpr_lut_to_dense(indices=uint1[3](0,1,1), lut=%t)\n"
                        "%r: fp32[3] = constexpr_cast(source_val=%h, output_dtype=\"fp32\")"),
              ElementsAre(1.5, 2, 2));
}

TEST(Weights, AreRoundedInTypedNumerics) {
  constexpr std::string_view kThird =
      "%r: fp16[1] = constexpr_blockwise_shift_scale(data=int8[1](3), scale=fp16[1](0.1))";
  const auto function = function_of(kThird, "CoreML8");
  const mil::Value& value = *function->outputs[0];
  uint64_t overflows = 0;
  const auto exact = unpack(value, {Numerics::Precise}, &overflows).value();
  const auto rounded = unpack(value, {Numerics::Typed}, &overflows).value();
  EXPECT_NE(exact[0], rounded[0]);
  EXPECT_NEAR(exact[0], rounded[0], 1e-3);
  EXPECT_EQ(overflows, 0u);
}

TEST(Weights, ThatContradictThemselvesAreRefused) {
  EXPECT_THAT(error_of("%r: fp32[3] = constexpr_sparse_to_dense(nonzero_data=fp32[2](1,2), "
                       "mask=uint1[3](1,1,1))"),
              HasSubstr("the mask shows 3 elements, there are 2"));
  EXPECT_THAT(error_of("%r: fp32[3] = constexpr_sparse_to_dense(nonzero_data=fp32[2](1,2), "
                       "mask=uint1[3](1,0,0))"),
              HasSubstr("the mask shows 1 elements, there are 2"));
}

TEST(Weights, OfTypesThatHaveNoCellsAreRefusedAsValues) {
  EXPECT_THAT(error_of("%r: int4[2] = constexpr_sparse_to_dense(nonzero_data=int4[1](3), "
                       "mask=uint1[2](0,1))"),
              HasSubstr("type int4[2]"));
  EXPECT_THAT(error_of("%r: uint1[2], %d: fp16[1] = constexpr_lut_to_sparse("
                       "indices_mask=uint1[2](0,1), indices_nonzero_data=uint1[1](1), "
                       "lut=fp16[1,2,1](1,2))"),
              HasSubstr("type uint1[2]"));
}

// Work stays bounded where an operand is used over and over.
TEST(Weights, OnTopOfTooManyAreRefused) {
  std::string statements =
      "%w0: fp16[1] = constexpr_blockwise_shift_scale(data=int8[1](1), "
      "scale=fp16[1](1))\n";
  for (int i = 1; i < 40; ++i) {
    statements += fmt::format(
        "%{}: fp16[1] = constexpr_blockwise_shift_scale(data=%w{}, "
        "scale=%w{}, offset=%w{})\n",
        i == 39 ? "r" : fmt::format("w{}", i), i - 1, i - 1, i - 1);
  }
  EXPECT_THAT(error_of(statements), HasSubstr("operations on top of each other"));
}

TEST(Weights, AreUnpackedOnce) {
  const auto program = mil::parse(
      "func @main(%x: fp32[1,2,4]) opset \"CoreML6\" {\n"
      "%w: fp32[3,2,1] = constexpr_affine_dequantize(quantized_data=int8[3,2,1](1,2,3,4,5,6), "
      "zero_point=int8(0), scale=fp32(0.5), axis=int32(0))\n"
      "%y: fp32[1,3,4] = conv(x=%x, weight=%w, pad_type=\"valid\")\n"
      "%z: fp32[1,3,4] = conv(x=%x, weight=%w, pad_type=\"valid\")\n"
      "%r: fp32[1,3,4] = add(x=%y, y=%z)\nreturn %r\n}");
  ASSERT_OK(program);
  const auto executable = Executable::compile(*program->functions.front());
  ASSERT_OK(executable);
  EXPECT_EQ((*executable)->unpacked_bytes(), 6u * 4);
  EXPECT_EQ((*executable)->step_count(), 4u);  // input, two convolutions, a sum
  const auto outcome =
      run(*program->functions.front(), {floats({1, 2, 4}, {1, 0, 0, 1, 0, 1, 0, 1})});
  EXPECT_THAT(outcome.outputs[0].floats(), ElementsAre(1, 2, 0, 3, 3, 4, 0, 7, 5, 6, 0, 11));
}

// Codes of a convolution are made to floats when it is compiled; what is computed, when it is run.
TEST(Weights, OfConvolutionsOfCodesAreUnpackedOnce) {
  const auto compiled = [](std::string_view scale) {
    const auto program = mil::parse(fmt::format(
        "func @main(%x: fp32[1,1,4], %s: fp32[2]) opset \"CoreML6\" {{\n"
        "%t: fp32[2] = identity(x=%s)\n"
        "%r: fp32[1,2,3] = conv_quantized(x=%x, weight=uint8[2,1,2](0,3,6,1), "
        "quantization_type=\"linear\", quant_scale={}, quant_bias=fp32[2](-1,1))\nreturn %r\n}}",
        scale));
    EXPECT_TRUE(program) << program.error().to_string();
    const auto& function = *program->functions.front();
    const std::vector<Tensor> inputs{floats({1, 1, 4}, {1, 0, 2, 0}), floats({2}, {0.5f, 1})};
    // [-1, 0.5] and [7, 2].
    EXPECT_THAT(run(function, inputs).outputs[0].floats(), ElementsAre(-1, 1, -2, 7, 4, 14));
    return Executable::compile(function).value();
  };
  const auto constant = compiled("fp32[2](0.5,1)"), computed = compiled("%t");
  EXPECT_EQ(constant->unpacked_bytes(), 4u * 4);
  EXPECT_EQ(computed->unpacked_bytes(), 0u);
  EXPECT_EQ(constant->step_count() + 2, computed->step_count());  // scales as cells, the weight
}

// A linear takes integers and indices of either form where they lie.
TEST(Weights, OfLinearsAreNotUnpacked) {
  for (const std::string_view weight :
       {"constexpr_affine_dequantize(quantized_data=int8[2,4](1,2,3,4,5,6,7,8), "
        "zero_point=int8[2](1,0), scale=fp16[2](1,2), axis=int32(0))",
        "constexpr_lut_to_dense(indices=uint8[1](165), lut=fp16[2](1,2), shape=uint32[2](2,4))"}) {
    const auto program = mil::parse(
        fmt::format("func @main(%x: fp16[1,4]) opset \"CoreML7\" {{\n%w: fp16[2,4] = {}\n"
                    "%r: fp16[1,2] = linear(x=%x, weight=%w)\nreturn %r\n}}",
                    weight));
    ASSERT_OK(program);
    for (const Numerics numerics : {Numerics::Typed, Numerics::Precise, Numerics::Fast}) {
      RunOptions options;
      options.executable.numerics = numerics;
      const auto& function = *program->functions.front();
      EXPECT_EQ(Executable::compile(function, options.executable).value()->unpacked_bytes(), 0u);
      const auto found =
          run(function, {floats({1, 4}, {1, 2, 0, 1}, DType::F16)}, options).outputs[0].floats();
      const bool scaled = weight.starts_with("constexpr_affine");
      // Rows 0 1 2 3 and 10 12 14 16, or bits 1010 0101: 2 1 2 1 and 1 2 1 2.
      EXPECT_THAT(found, scaled ? ElementsAre(5, 50) : ElementsAre(5, 7)) << name(numerics);
    }
  }
}

TEST(Quantization, RoundsToTheNearestWithinTheType) {
  const Tensor x = floats({6}, {0.5f, 1.5f, -1.5f, 300, -300, 2});
  check({"int8[6]",
         "quantize(input=%a, scale=fp32(1), output_dtype=\"int8\")",
         {x},
         {{0, 2, -2, 127, -128, 2}}});
  check({"uint8[6]",
         "quantize(input=%a, scale=fp32(0.5), zero_point=uint8(10), output_dtype=\"uint8\")",
         {x},
         {{11, 13, 7, 255, 0, 14}}});
  check({"int8[2,2]",
         "quantize(input=%a, scale=fp32[2](1,10), zero_point=int8[2](0,1), axis=int32(1), "
         "output_dtype=\"int8\")",
         {floats({2, 2}, {1, 10, -1, -20})},
         {{1, 2, -1, -1}}});
}

TEST(Quantization, IsUndone) {
  check({"fp32[2,2]",
         "dequantize(input=%a, scale=fp32[2](1,10), zero_point=int8[2](0,1), axis=int32(-1))",
         {ints({2, 2}, {1, 2, -1, -1}, DType::Int8)},
         {{1, 10, -1, -20}}});
  check({"fp16[2]",
         "dequantize(input=%a, scale=fp16(0.5))",
         {ints({2}, {255, 0}, DType::UInt8)},
         {{127.5, 0}}});
}

// Three boxes, of which the second covers most of the first.
TEST(Detection, KeepsTheBestOfBoxesThatOverlap) {
  const Tensor boxes = floats({1, 3, 4}, {1, 1, 2, 2, 1.1f, 1, 2, 2, 5, 5, 1, 1});
  const Tensor scores = floats({1, 3, 2}, {0.5f, 0, 0, 0.9f, 0.3f, 0.1f});
  constexpr std::string_view kResults = "fp32[1,3,4]; fp32[1,3,2]; int32[1,3]; int32[1]";
  const auto expect = [&](std::string_view more, std::vector<std::vector<double>> expected) {
    check({kResults,
           fmt::format("non_maximum_suppression(boxes=%a, scores=%b, iou_threshold=fp32(0.5), "
                       "score_threshold=fp32(0.2), max_boxes=int32(3){})",
                       more),
           {boxes, scores},
           std::move(expected)},
          "CoreML5");
  };
  expect("",
         {{1.1f, 1, 2, 2, 5, 5, 1, 1, 0, 0, 0, 0}, {0, 0.9f, 0.3f, 0.1f, 0, 0}, {1, 2, -1}, {2}});
  // The first is of another class.
  expect(", per_class_suppression=bool(true)",
         {{1.1f, 1, 2, 2, 1, 1, 2, 2, 5, 5, 1, 1}, {0, 0.9f, 0.5f, 0, 0.3f, 0.1f}, {1, 0, 2}, {3}});
  check({"fp32[1,4,1]; fp32[1,1,1]; int32[1,1]",
         "non_maximum_suppression(boxes=%a, scores=%b, iou_threshold=fp32(0.5), "
         "max_boxes=int32(1))",
         {floats({1, 4, 2}, {1, 5, 1, 5, 2, 1, 2, 1}), floats({1, 1, 2}, {0.1f, 0.2f})},
         {{5, 5, 1, 1}, {0.2f}, {1}}},
        "CoreML7");
}

}  // namespace
}  // namespace diptych::engine
