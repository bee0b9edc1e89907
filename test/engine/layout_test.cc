// The operations that move, resample and make elements, by family.
#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "example.h"

namespace diptych::engine {
namespace {

using ::testing::HasSubstr;

const float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(GatherScatter, SelectSlices) {
  const Tensor x = floats({2, 3}, {0, 1, 2, 10, 11, 12});
  check({"fp32[2,1]",
         "gather_along_axis(x=%a, indices=%b, axis=int32(1))",
         {x, ints({2, 1}, {2, 0})},
         {{2, 10}}});
  check({"fp32[2]",
         "gather_nd(x=%a, indices=%b)",
         {x, ints({2, 2}, {0, 1, 1, 2}, DType::Int16)},
         {{1, 12}}});
  check({"fp32[1,3]", "gather_nd(x=%a, indices=%b)", {x, ints({1, 1}, {1})}, {{10, 11, 12}}});
  check({"fp32[2]",
         "gather_nd(x=%a, indices=%b, batch_dims=int32(1))",
         {x, ints({2, 1}, {2, 0})},
         {{2, 10}}});
  check({"fp32[2,2]",
         "gather(x=%a, indices=%b, axis=int32(1), batch_dims=int32(1))",
         {x, ints({2, 2}, {2, 0, 1, 1})},
         {{2, 0, 11, 11}}});
  const auto scatter = [&](std::string_view mode, std::vector<double> expected) {
    check(
        {"fp32[2,3]",
         fmt::format("scatter(data=%a, indices=%b, updates=%c, axis=int32(1), mode=\"{}\")", mode),
         {x, ints({2}, {2, 2}), floats({2, 2}, {5, 7, 2, 4})},
         {std::move(expected)}});
  };
  scatter("update", {0, 1, 7, 10, 11, 4});
  scatter("add", {0, 1, 14, 10, 11, 18});
  scatter("sub", {0, 1, -10, 10, 11, 6});
  scatter("mul", {0, 1, 70, 10, 11, 96});
  scatter("div", {0, 1, 2.0 / 35, 10, 11, 1.5});
  scatter("max", {0, 1, 7, 10, 11, 12});
  scatter("min", {0, 1, 2, 10, 11, 2});
  check({"int32[3]",
         "scatter_along_axis(data=%a, indices=%b, updates=%c, mode=\"add\")",
         {ints({3}, {1, 2, 3}), ints({2}, {0, 0}), ints({2}, {10, 20})},
         {{31, 2, 3}}});
  check({"fp32[2,3]",
         "scatter_nd(data=%a, indices=%b, updates=%c, mode=\"update\")",
         {x, ints({1, 1}, {1}), floats({1, 3}, {7, 8, 9})},
         {{0, 1, 2, 7, 8, 9}}});
}

TEST(GatherScatter, NegativeIndicesAreLegalInOlderOpsets) {
  const Tensor x = floats({3}, {1, 2, 3}), at = ints({2}, {-1, 0});
  const Example gather{"fp32[2]", "gather(x=%a, indices=%b)", {x, at}, {{3, 1}}};
  const Example scatter{"fp32[3]",
                        "scatter(data=%a, indices=%b, updates=%c, mode=\"update\")",
                        {x, at, floats({2}, {7, 8})},
                        {{8, 2, 7}}};
  for (const Example& example : {gather, scatter}) {
    check(example, "CoreML5");
    check(example, "CoreML6");
    EXPECT_THAT(error_of(example, "CoreML7"),
                HasSubstr("index -1 at position 0 is outside [0, 3)"));
  }
  const Example outside{"fp32[2]", "gather(x=%a, indices=%b)", {x, ints({2}, {0, -4})}, {}};
  EXPECT_THAT(error_of(outside, "CoreML5"), HasSubstr("index -4 at position 1 is outside [-3, 3)"));
}

TEST(Parts, SlicesAndUpdates) {
  const Tensor x = floats({2, 3}, {0, 1, 2, 10, 11, 12});
  check({"fp32[1,2]",
         "slice_by_size(x=%a, begin=%b, size=int32[2](1,2))",
         {x, ints({2}, {1, -2})},
         {{11, 12}}});
  EXPECT_THAT(error_of({"fp32[1,2]",
                        "slice_by_size(x=%a, begin=%b, size=int32[2](1,2))",
                        {x, ints({2}, {0, 2})},
                        {}}),
              HasSubstr("2 elements from 2 of axis 1 of size 3"));
  const std::string update =
      "slice_update(x=%a, update=fp32[1,2](7,8), begin=%b, end=%c, stride=int32[2](1,2))";
  check({"fp32[2,3]", update, {x, ints({2}, {1, 0}), ints({2}, {2, 3})}, {{0, 1, 2, 7, 11, 8}}});
  EXPECT_THAT(error_of({"fp32[2,3]", update, {x, ints({2}, {0, 0}), ints({2}, {2, 3})}, {}}),
              HasSubstr("an update of [1,2] for a slice of [2,2]"));
  check({"fp32[1,1,2]",
         "crop(x=%a, crop_height=int32[2](1,0), crop_width=int32[2](0,1))",
         {floats({1, 2, 3}, {0, 1, 2, 10, 11, 12})},
         {{10, 11}}});
}

TEST(Parts, Repeated) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  check({"fp32[2,4]", "tile(x=%a, reps=int32[2](1,2))", {x}, {{1, 2, 1, 2, 3, 4, 3, 4}}});
  check({"fp32[4,2]", "tile(x=%a, reps=int32[2](2,1))", {x}, {{1, 2, 3, 4, 1, 2, 3, 4}}});
  check({"fp32[2,2]", "reverse(x=%a)", {x}, {{4, 3, 2, 1}}});
  check({"fp32[2,2]", "reverse(x=%a, axes=int32[1](-1))", {x}, {{2, 1, 4, 3}}});
  check({"fp32[2,3]",
         "reverse_sequence(x=%a, lengths=%b, seq_axis=int32(1), batch_axis=int32(0))",
         {floats({2, 3}, {1, 2, 3, 4, 5, 6}), ints({2}, {2, 3})},
         {{2, 1, 3, 6, 5, 4}}});
  check({"int8[2,2]",
         "sliding_windows(x=%a, axis=int32(0), size=int32(2), stride=int32(2))",
         {ints({4}, {1, 2, 3, 4}, DType::Int8)},
         {{1, 2, 3, 4}}});
  check({"fp32[2,3]",
         "band_part(x=%a, lower=int32(0), upper=int32(1))",
         {floats({2, 3}, {1, 2, 3, 4, 5, 6})},
         {{1, 2, 0, 0, 5, 6}}});
}

TEST(Parts, Padded) {
  const Tensor x = floats({1, 3}, {1, 2, 3});
  check({"fp32[1,6]",
         "pad(x=%a, pad=int32[2](2,1), constant_val=fp32(9))",
         {x},
         {{9, 9, 1, 2, 3, 9}}});
  check({"fp32[1,6]", "pad(x=%a, pad=int32[2](2,1), mode=\"reflect\")", {x}, {{3, 2, 1, 2, 3, 2}}});
  check(
      {"fp32[1,6]", "pad(x=%a, pad=int32[2](2,1), mode=\"replicate\")", {x}, {{1, 1, 1, 2, 3, 3}}});
  check({"fp32[2,4]", "pad(x=%a, pad=int32[4](1,0,0,1))", {x}, {{0, 0, 0, 0, 1, 2, 3, 0}}});
}

TEST(Parts, Blocks) {
  const Tensor x = floats({1, 4, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  check({"fp32[1,1,2,4]",
         "depth_to_space(x=%a, block_size=int32(2))",
         {x},
         {{0, 2, 1, 3, 4, 6, 5, 7}}});
  check({"fp32[1,1,2,4]",
         "pixel_shuffle(x=%a, upscale_factor=int32(2))",
         {x},
         {{0, 2, 1, 3, 4, 6, 5, 7}}});
  // They differ in which channels belong together.
  const Tensor two = floats({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  check({"fp32[1,2,2,2]",
         "depth_to_space(x=%a, block_size=int32(2))",
         {two},
         {{0, 2, 4, 6, 1, 3, 5, 7}}});
  check({"fp32[1,2,2,2]",
         "pixel_shuffle(x=%a, upscale_factor=int32(2))",
         {two},
         {{0, 1, 2, 3, 4, 5, 6, 7}}});
  const Tensor image = floats({1, 1, 2, 2}, {1, 2, 3, 4});
  check({"fp32[1,4,1,1]", "space_to_depth(x=%a, block_size=int32(2))", {image}, {{1, 2, 3, 4}}});
  check({"fp32[1,4,1,1]",
         "pixel_unshuffle(x=%a, downscale_factor=uint32(2))",
         {image},
         {{1, 2, 3, 4}}});
  check({"fp32[4,1,1,2]",
         "space_to_batch(x=%a, block_shape=int32[2](2,2), paddings=int32[2,2](0,0,1,1))",
         {image},
         {{0, 2, 1, 0, 0, 4, 3, 0}}});
  check({"fp32[1,1,2,2]",
         "batch_to_space(x=%a, block_shape=int32[2](2,2), crops=int32[2,2](0,0,1,1))",
         {floats({4, 1, 1, 2}, {0, 2, 1, 0, 0, 4, 3, 0})},
         {{1, 2, 3, 4}}});
}

TEST(Resizing, Grids) {
  const Tensor x = floats({1, 1, 2}, {0, 1});
  const auto resize = [&](std::string_view mode, std::vector<double> expected) {
    check({"fp32[1,1,5]",
           fmt::format("resize_bilinear(x=%a, target_size_height=int32(1), "
                       "target_size_width=int32(5), sampling_mode=\"{}\")",
                       mode),
           {x},
           {std::move(expected)}});
  };
  resize("DEFAULT", {0, 0.4, 0.8, 1, 1});
  resize("STRICT_ALIGN_CORNERS", {0, 0.25, 0.5, 0.75, 1});
  resize("ALIGN_CORNERS", {0, 0.25, 0.5, 0.75, 1});
  resize("UNALIGN_CORNERS", {0, 0.1, 0.5, 0.9, 1});
  resize("OFFSET_CORNERS", {0.1, 0.3, 0.5, 0.7, 0.9});
  check({"fp32[1,1,4]",
         "upsample_nearest_neighbor(x=%a, scale_factor_width=fp32(2))",
         {x},
         {{0, 0, 1, 1}}});
  check({"fp32[1,1,4]",
         "upsample_bilinear(x=%a, scale_factor_width=int32(2))",
         {x},
         {{0, 1.0 / 3, 2.0 / 3, 1}}});
  check({"fp32[1,1,4]",
         "upsample_bilinear(x=%a, scale_factor_width=int32(2), align_corners=bool(false))",
         {x},
         {{0, 0.25, 0.75, 1}}});
  check({"fp32[1,3,1]",
         "resize(x=%a, shape=int32[2](3,1), resized_dims=uint32(2), "
         "interpolation_mode=\"NEAREST_NEIGHBOR\")",
         {floats({1, 2, 1}, {5, 6})},
         {{5, 6, 6}}});
}

TEST(Resizing, BoxesAndCoordinates) {
  std::vector<float> pixels(16);
  for (size_t i = 0; i < 16; ++i) pixels[i] = static_cast<float>(i + 1);
  const Tensor x = floats({1, 1, 4, 4}, pixels);
  check({"fp32[1,1,2,2]",
         "crop_resize(x=%a, boxes=fp32[1,4](1,1,2,2), target_height=int32(2), "
         "target_width=int32(2), sampling_mode=\"ALIGN_CORNERS\")",
         {x},
         {{6, 7, 10, 11}}});
  check({"fp32[1,1,2,2]",
         "crop_resize(x=%a, boxes=fp32[1,4](0.1,0.3,1.3,1), box_indices=int32[1](0), "
         "target_height=int32(2), target_width=int32(2), normalized_coordinates=bool(true), "
         "sampling_mode=\"ALIGN_CORNERS\", pad_value=fp32(10))",
         {x},
         {{3.1, 5.2, 10, 10}},
         1e-5});
  check({"fp32[1,1,1,1,1]",
         "crop_resize(x=%a, roi=fp32[1,1,5,1,1](0,1,1,2,2), sampling_mode=\"ALIGN_CORNERS\")",
         {x},
         {{8.5}}},
        "CoreML6");
  EXPECT_THAT(error_of({"fp32[1,1,1,1]",
                        "crop_resize(x=%a, boxes=fp32[1,4](0,0,1,1), "
                        "box_indices=%b)",
                        {x, ints({1}, {1})},
                        {}}),
              HasSubstr("image 1 is outside [0, 1)"));
  const auto resample = [&](std::string_view sampling, std::string_view padding,
                            std::string_view mode, std::vector<float> at, double expected) {
    check({"fp32[1,1,1,1]",
           fmt::format("resample(x=%a, coordinates=%b, sampling_mode=\"{}\", padding_mode=\"{}\", "
                       "padding_value=fp32(-1), coordinates_mode=\"{}\", align_corners=bool(true))",
                       sampling, padding, mode),
           {x, floats({1, 1, 1, 2}, at)},
           {{expected}}});
  };
  resample("bilinear", "constant", "unnormalized", {0.5f, 1}, 5.5);
  resample("nearest", "constant", "unnormalized", {0.6f, 1}, 6);
  resample("bilinear", "constant", "normalized_minus_one_to_one", {1, -1}, 4);
  resample("bilinear", "constant", "normalized_zero_to_one", {0, 1}, 13);
  resample("bilinear", "constant", "unnormalized", {-5, 0}, -1);
  resample("bilinear", "constant", "unnormalized", {kNaN, 0}, -1);
  resample("bilinear", "border", "unnormalized", {-5, 0}, 1);
  resample("bilinear", "reflection", "unnormalized", {-1, 0}, 2);
  resample("bilinear", "symmetric", "unnormalized", {-1, 0}, 1);
  check({"fp32[1,1,2,2]",
         "affine(x=%a, transform_matrix=fp32[1,6](1,0,0,0,1,0), output_height=int32(2), "
         "output_width=int32(2), sampling_mode=\"bilinear\", padding_mode=\"constant\", "
         "padding_value=fp32(0), coordinates_mode=\"normalized_minus_one_to_one\", "
         "align_corners=bool(true))",
         {x},
         {{1, 4, 13, 16}}});
}

TEST(Made, FromParameters) {
  const Tensor x = ints({2}, {1, 5});
  check({"fp32[2]", "fill_like(ref_tensor=%a, value=fp32(0.5))", {x}, {{0.5, 0.5}}});
  check({"int32[2,3]",
         "one_hot(indices=%a, one_hot_vector_size=int32(3))",
         {x},
         {{0, 1, 0, 0, 0, 0}}});
  check({"fp32[3,2]",
         "one_hot(indices=%a, one_hot_vector_size=int32(3), axis=int32(0), on_value=fp32(2), "
         "off_value=fp32(-1))",
         {x},
         {{-1, -1, 2, -1, -1, -1}}});
  check({"int32[1]", "shape(x=%a)", {x}, {{2}}});
}

TEST(Random, FollowsItsParametersAndItsSeed) {
  const auto draw = [](std::string_view type, std::string op, std::vector<Tensor> inputs = {}) {
    const auto function = function_of(inputs, type, op, "CoreML8");
    return run(*function, inputs).outputs[0].floats();
  };
  const auto ones = draw("fp32[8]", "random_bernoulli(shape=int32[1](8), prob=fp32(1))");
  EXPECT_THAT(ones, ::testing::Each(1));
  EXPECT_THAT(draw("fp32[8]", "random_bernoulli(shape=int32[1](8), prob=fp32(0))"),
              ::testing::Each(0));
  const std::string seeded =
      "random_uniform(shape=int32[1](1000), low=fp32(2), high=fp32(4), "
      "seed=int32(7))";
  const auto uniform = draw("fp32[1000]", seeded);
  EXPECT_EQ(uniform, draw("fp32[1000]", seeded));
  double mean = 0;
  for (const float v : uniform) {
    EXPECT_GE(v, 2);
    EXPECT_LE(v, 4);
    mean += v / 1000;
  }
  EXPECT_NEAR(mean, 3, 0.1);
  const std::string unseeded = "random_normal(shape=int32[1](1000))";
  const auto normal = draw("fp32[1000]", unseeded);
  EXPECT_NE(normal, draw("fp32[1000]", unseeded));
  double squares = 0;
  for (const float v : normal) squares += v * v / 1000;
  EXPECT_NEAR(squares, 1, 0.3);
  const auto classes =
      draw("fp32[1,1000]", "random_categorical(x=%a, mode=\"probs\", size=int32(1000))",
           {floats({1, 3}, {0.2f, 0, 0.8f})});
  EXPECT_NEAR(static_cast<double>(std::count(classes.begin(), classes.end(), 2)), 800, 80);
  EXPECT_EQ(std::count(classes.begin(), classes.end(), 1), 0);
}

// Parameters of a hostile file: windows as large as an integer over an input of nothing.
TEST(Hostile, WindowsCostWhatTheyTouch) {
  check({"fp32[1,1,1]",
         "max_pool(x=%a, kernel_sizes=int32[1](2147483647), pad_type=\"custom\", "
         "pad=int32[2](1073741823,1073741823))",
         {floats({1, 1, 1}, {3})},
         {{3}}});
  const auto function = function_of({floats({1, 1, 1}, {3})}, "fp32[1,1,2147483647]",
                                    "avg_pool(x=%a, kernel_sizes=int32[1](1), "
                                    "pad_type=\"custom\", pad=int32[2](2147483645,1))",
                                    "CoreML8");
  ASSERT_NE(function, nullptr);
  ExecutableOptions options;
  options.memory_limit = 1 << 20;
  const auto compiled = Executable::compile(*function, options);
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().to_string(), HasSubstr("memory limit"));
}

TEST(Hostile, OperationsOfAnotherOpsetAreRefused) {
  auto function = function_of({floats({2}, {1, 2})}, "fp32[2]",
                              "fill_like(ref_tensor=%a, value=fp32(1))", "CoreML6");
  ASSERT_NE(function, nullptr);
  function->opset = "CoreML5";
  const auto compiled = Executable::compile(*function);
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().to_string(), HasSubstr("not in opset CoreML5"));
}

}  // namespace
}  // namespace diptych::engine
