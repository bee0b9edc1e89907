#include "mil/params.h"

#include <gtest/gtest.h>

#include "mil/builder.h"
#include "testing/shared_data.h"

namespace diptych::mil {
namespace {

TEST(Params, SliceIsResolvedToElementsInsideTheAxis) {
  Builder b(std::make_unique<Function>("f"));
  Value* x = b.input("x", {DType::F32, {10, 10, 10, 10}});
  Value* y = b.op("slice_by_index", {{"x", {x}},
                                     {"begin", {b.ints({-3, 9, 2, -1})}},
                                     {"end", {b.ints({100, -100, 3, 5})}},
                                     {"stride", {b.ints({2, -4, 1, 1})}},
                                     {"squeeze_mask", {b.bools({0, 0, 0, 1})}}});
  ASSERT_TRUE(b.ok());
  EXPECT_EQ(to_string(y->type), "fp32[2,3,1]");
  const auto axes = resolve_slice(*y->producer);
  ASSERT_OK(axes);
  const auto fields = [&](size_t i) {
    const SliceAxis& a = (*axes)[i];
    return std::vector<int64_t>{a.begin, a.stride, a.count, a.squeeze};
  };
  EXPECT_EQ(fields(0), (std::vector<int64_t>{7, 2, 2, 0}));   // 7, 9
  EXPECT_EQ(fields(1), (std::vector<int64_t>{9, -4, 3, 0}));  // 9, 5, 1
  EXPECT_EQ(fields(2), (std::vector<int64_t>{2, 1, 1, 0}));
  EXPECT_EQ(fields(3), (std::vector<int64_t>{9, 1, 1, 1}));
}

TEST(Params, DefaultsStandForAbsentParameters) {
  Builder b(std::make_unique<Function>("f"));
  Value* x = b.input("x", {DType::F32, {2, 3}});
  const Op* op = b.op("reduce_mean", {{"x", {x}}})->producer;
  EXPECT_EQ(bool_param(*op, "keep_dims", true), true);
  EXPECT_EQ(ints_param(*op, "axes", {5}), (std::vector<int64_t>{5}));
  EXPECT_EQ(int_param(*op, "axis", 4), 4);
  EXPECT_EQ(float_param(*op, "epsilon", 0.5), 0.5);
  EXPECT_FALSE(int_param(*op, "axis").has_value());
  EXPECT_FALSE(string_param(*op, "dtype").has_value());
}

TEST(Params, Broadcast) {
  EXPECT_EQ(broadcast({4, 1, 3}, {5, 1}), (Shape{4, 5, 3}));
  EXPECT_EQ(broadcast({}, {2}), (Shape{2}));
  EXPECT_FALSE(broadcast({2, 3}, {2}).has_value());
}

}  // namespace
}  // namespace diptych::mil
