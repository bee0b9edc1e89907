// Every operation against examples worked out by hand and against plain loops in double precision.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "base/half.h"
#include "engine/kernels.h"
#include "engine/strided.h"
#include "engine_test_util.h"
#include "mil/op_table.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Values = std::vector<Value*>;

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNoNumber = std::numeric_limits<float>::quiet_NaN();

TEST(Kernels, CoverTheWholeOpTable) {
  for (const mil::OpSpec& spec : mil::op_table()) {
    EXPECT_NE(find_kernel(spec.type), nullptr) << spec.type;
  }
  for (const Kernel& kernel : kernels()) EXPECT_TRUE(mil::is_known_op(kernel.op)) << kernel.op;
}

// The elements of a tensor seen in a larger shape, one after another.
std::vector<float> broadcast_to(const Tensor& tensor, const Shape& shape) {
  const std::vector<float> from = tensor.floats();
  std::vector<float> to;
  const Shape strides = broadcast_strides(tensor.type.shape, shape);
  const Shape dense = row_major_strides(shape);
  const auto count = static_cast<int64_t>(element_count(shape).value());
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      at += i / dense[axis] % shape[axis] * strides[axis];
    }
    to.push_back(from[static_cast<size_t>(at)]);
  }
  return to;
}

struct BinaryCase {
  Value* (Builder::*op)(Value*, Value*);
  float (*f)(float, float);
};
const BinaryCase kBinary[] = {{&Builder::add, [](float a, float b) { return a + b; }},
                              {&Builder::sub, [](float a, float b) { return a - b; }},
                              {&Builder::mul, [](float a, float b) { return a * b; }},
                              {&Builder::real_div, [](float a, float b) { return a / b; }}};

TEST(Elementwise, BinaryBroadcastsInEveryWay) {
  const std::pair<Shape, Shape> shapes[] = {
      {{7}, {7}},       {{2, 3, 5}, {2, 3, 5}}, {{2, 3, 5}, {}},
      {{}, {4, 3}},     {{2, 3, 5}, {5}},       {{2, 3, 5}, {3, 1}},
      {{4, 1}, {1, 6}}, {{2, 1, 5}, {3, 1}},    {{1, 4, 3, 9}, {1, 3, 9}},
      {{1, 1}, {1}},    {{3, 1, 4}, {1, 2, 1}}, {{2, 3, 300}, {2, 1, 300}}};
  for (const auto& [x_shape, y_shape] : shapes) {
    const Tensor x = random_floats(x_shape, 1), y = random_floats(y_shape, 2);
    for (const BinaryCase& c : kBinary) {
      const Tensor out = evaluate(
          {x, y}, [&](Builder& b, const Values& in) { return Values{(b.*c.op)(in[0], in[1])}; });
      const auto a = broadcast_to(x, out.type.shape), b = broadcast_to(y, out.type.shape);
      const auto got = out.floats();
      for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], c.f(a[i], b[i]));
    }
  }
}

TEST(Elementwise, LargeTensorsOverSeveralThreads) {
  RunOptions four;
  four.threads = 4;
  const Tensor x = random_floats({64, 3000}, 1), y = random_floats({64, 1}, 2);
  for (const Tensor& other : {x, y}) {
    const Tensor out = evaluate(
        {x, other}, [](Builder& b, const Values& in) { return Values{b.mul(in[0], in[1])}; }, four);
    const auto a = x.floats(), b = broadcast_to(other, x.type.shape), got = out.floats();
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], a[i] * b[i]);
  }
}

TEST(Elementwise, IntegersWrap) {
  const Tensor x = ints({3}, {5, 2147483647, -2147483648}), y = ints({3}, {-7, 1, -1});
  const auto two = [&](Value* (Builder::*op)(Value*, Value*)) {
    return evaluate({x, y},
                    [&](Builder& b, const Values& in) { return Values{(b.*op)(in[0], in[1])}; })
        .ints();
  };
  EXPECT_THAT(two(&Builder::add), ElementsAre(-2, -2147483648, 2147483647));
  EXPECT_THAT(two(&Builder::sub), ElementsAre(12, 2147483646, -2147483647));
  EXPECT_THAT(two(&Builder::mul), ElementsAre(-35, 2147483647, -2147483648));
  const auto one = [&](const char* op) {
    return evaluate({x}, [&](Builder& b, const Values& in) { return Values{b.unary(op, in[0])}; })
        .ints();
  };
  EXPECT_THAT(one("abs"), ElementsAre(5, 2147483647, -2147483648));
  EXPECT_THAT(one("square"), ElementsAre(25, 1, 0));
}

TEST(Elementwise, Unary) {
  const std::vector<float> values = {0.25f, 4.0f, 1.0f, 2.0f, 1e-40f, 1e30f};
  const Tensor x = floats({2, 3}, values);
  const auto one = [&](auto make) {
    return evaluate({x}, [&](Builder& b, const Values& in) { return Values{make(b, in[0])}; })
        .floats();
  };
  const auto square = one([](Builder& b, Value* v) { return b.unary("square", v); });
  const auto root = one([](Builder& b, Value* v) { return b.unary("sqrt", v); });
  const auto rsqrt = one([](Builder& b, Value* v) { return b.rsqrt(v, 0.5); });
  const auto silu = one([](Builder& b, Value* v) { return b.silu(v); });
  const auto sigmoid = one([](Builder& b, Value* v) { return b.op("sigmoid", {{"x", {v}}}); });
  for (size_t i = 0; i < values.size(); ++i) {
    const double v = values[i];
    EXPECT_EQ(square[i], values[i] * values[i]);
    EXPECT_EQ(root[i], std::sqrt(values[i]));
    EXPECT_NEAR(rsqrt[i], 1 / std::sqrt(v + 0.5), 1e-6);
    EXPECT_NEAR(silu[i] / v, 1 / (1 + std::exp(-v)), 1e-6);
    EXPECT_NEAR(sigmoid[i], 1 / (1 + std::exp(-v)), 1e-6);
  }
  const Tensor signs = floats({4}, {-1.5f, -0.0f, kInf, -kInf});
  EXPECT_THAT(
      evaluate({signs}, [](Builder& b, const Values& in) { return Values{b.unary("abs", in[0])}; })
          .floats(),
      ElementsAre(1.5f, 0.0f, kInf, kInf));
  // Far from zero silu is 0 or x itself.
  const Tensor far = floats({2}, {-200.0f, 200.0f});
  EXPECT_THAT(
      evaluate({far}, [](Builder& b, const Values& in) { return Values{b.silu(in[0])}; }).floats(),
      ElementsAre(-0.0f, 200.0f));
}

TEST(Elementwise, GreaterEqualAndSelect) {
  const auto ge = evaluate({ints({4}, {-1, 0, 1, -2147483648})}, [](Builder& b, const Values& in) {
    return Values{b.greater_equal(in[0], b.int_scalar(0))};
  });
  EXPECT_EQ(ge.type.dtype, DType::Bool);
  EXPECT_THAT(ge.ints(), ElementsAre(0, 1, 1, 0));
  const auto float_ge =
      evaluate({floats({4}, {1, 2, kNoNumber, kInf}), floats({}, {2})},
               [](Builder& b, const Values& in) { return Values{b.greater_equal(in[0], in[1])}; });
  EXPECT_THAT(float_ge.ints(), ElementsAre(0, 1, 0, 1));

  const auto chosen =
      evaluate({ints({2, 1}, {1, 0}, DType::Bool), floats({2, 3}, {1, 2, 3, 4, 5, 6}),
                floats({3}, {-1, -2, -3})},
               [](Builder& b, const Values& in) { return Values{b.select(in[0], in[1], in[2])}; });
  EXPECT_THAT(chosen.floats(), ElementsAre(1, 2, 3, -1, -2, -3));
}

TEST(Elementwise, Cast) {
  const auto cast = [](const Tensor& x, DType dtype, const RunOptions& options = {}) {
    return evaluate(
        {x}, [&](Builder& b, const Values& in) { return Values{b.cast(in[0], dtype)}; }, options);
  };
  const Tensor wide = ints({6}, {-1, 32767, 32768, 65535, 70000, -40000});
  EXPECT_THAT(cast(wide, DType::Int16).ints(), ElementsAre(-1, 32767, -32768, -1, 4464, 25536));
  EXPECT_THAT(cast(wide, DType::UInt16).ints(),
              ElementsAre(65535, 32767, 32768, 65535, 4464, 25536));
  EXPECT_THAT(cast(wide, DType::Int8).ints(), ElementsAre(-1, -1, 0, -1, 112, -64));
  EXPECT_THAT(cast(ints({3}, {0, 1, -5}), DType::Bool).ints(), ElementsAre(0, 1, 1));
  EXPECT_THAT(cast(ints({2}, {-128, 127}, DType::Int8), DType::Int32).ints(),
              ElementsAre(-128, 127));
  EXPECT_THAT(cast(ints({2}, {16777217, -3}), DType::F32).floats(),
              ElementsAre(16777216.0f, -3.0f));

  const Tensor real = floats({6}, {1.9f, -1.9f, kNoNumber, kInf, -3e9f, 40000.5f});
  EXPECT_THAT(cast(real, DType::Int32).ints(),
              ElementsAre(1, -1, 0, 2147483647, -2147483648, 40000));
  EXPECT_THAT(cast(real, DType::Int16).ints(), ElementsAre(1, -1, 0, 32767, -32768, 32767));
  EXPECT_THAT(cast(real, DType::UInt8).ints(), ElementsAre(1, 0, 0, 255, 0, 255));

  EXPECT_THAT(cast(floats({2}, {1.0009f, 5}, DType::F32), DType::F16).floats(),
              ElementsAre(round_to_half(1.0009f), 5));
  EXPECT_THAT(cast(floats({2}, {0.1f, 5}, DType::F16), DType::F32).floats(),
              ElementsAre(round_to_half(0.1f), 5));
}

TEST(Elementwise, CastToHalfRoundsBetweenOperationsOnlyWhenTyped) {
  const auto there_and_back = [](Builder& b, const Values& in) {
    return Values{b.cast(b.cast(in[0], DType::F16), DType::F32)};
  };
  const Tensor x = floats({1}, {0.1f});
  EXPECT_EQ(evaluate({x}, there_and_back).floats()[0], 0.1f);
  EXPECT_EQ(evaluate({x}, there_and_back, typed()).floats()[0], round_to_half(0.1f));
}

TEST(Shape, Concat) {
  const Tensor x = floats({2, 1, 2}, {1, 2, 3, 4});
  const Tensor y = floats({2, 2, 2}, {5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_THAT(evaluate({x, y},
                       [](Builder& b, const Values& in) {
                         return Values{b.concat({in[0], in[1]}, -2)};
                       })
                  .floats(),
              ElementsAre(1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12));
  EXPECT_THAT(evaluate({x, x},
                       [](Builder& b, const Values& in) {
                         return Values{b.concat({in[0], in[1]}, 2)};
                       })
                  .floats(),
              ElementsAre(1, 2, 1, 2, 3, 4, 3, 4));
  const auto one =
      evaluate({x}, [](Builder& b, const Values& in) { return Values{b.concat({in[0]}, 0)}; });
  EXPECT_THAT(one.floats(), ElementsAre(1, 2, 3, 4));
}

TEST(Shape, ConcatReadsPackedInputsOfEveryTypeAtAnyAddress) {
  for (const DType dtype : {DType::F16, DType::F32}) {
    const Tensor x = random_floats({2, 3, 5}, 1, dtype), y = random_floats({2, 2, 5}, 2, dtype);
    const auto function = build({x.type, y.type}, [](Builder& b, const Values& in) {
      return Values{b.concat({in[0], b.mul(in[1], in[1])}, 1)};
    });
    const auto aligned = run(*function, {x, y}), shifted = run(*function, {x, y}, {}, true);
    EXPECT_EQ(aligned.outputs[0].data, shifted.outputs[0].data);
    EXPECT_EQ(aligned.outputs[0].floats()[3], x.floats()[3]);
  }
  const Tensor i = ints({2, 2}, {-1, 2, -3, 4}, DType::Int16);
  EXPECT_THAT(evaluate({i, i},
                       [](Builder& b, const Values& in) {
                         return Values{b.concat({in[0], in[1]}, 1)};
                       })
                  .ints(),
              ElementsAre(-1, 2, -1, 2, -3, 4, -3, 4));
}

TEST(Shape, ConcatInterleaved) {
  const Tensor x = floats({1, 2, 2}, {1, 2, 3, 4}), y = floats({1, 2, 2}, {5, 6, 7, 8});
  EXPECT_THAT(evaluate({x, y},
                       [](Builder& b, const Values& in) {
                         return Values{b.op("concat", {{"values", {in[0], in[1]}},
                                                       {"axis", {b.int_scalar(1)}},
                                                       {"interleave", {b.bool_scalar(true)}}})};
                       })
                  .floats(),
              ElementsAre(1, 2, 5, 6, 3, 4, 7, 8));
}

TEST(Shape, Stack) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4}), y = floats({2, 2}, {5, 6, 7, 8});
  const auto stack = [&](int64_t axis) {
    return evaluate({x, y},
                    [&](Builder& b, const Values& in) {
                      return Values{b.stack({in[0], in[1]}, axis)};
                    })
        .floats();
  };
  EXPECT_THAT(stack(-1), ElementsAre(1, 5, 2, 6, 3, 7, 4, 8));
  EXPECT_THAT(stack(1), ElementsAre(1, 2, 5, 6, 3, 4, 7, 8));
  EXPECT_THAT(stack(0), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

void check_every_transpose(const Shape& shape) {
  const Tensor x = random_floats(shape, 1);
  const auto from = x.floats();
  std::vector<int64_t> perm{0, 1, 2, 3};
  do {
    const Tensor out = evaluate(
        {x}, [&](Builder& b, const Values& in) { return Values{b.transpose(in[0], perm)}; });
    const auto got = out.floats();
    const Shape dense = row_major_strides(shape), result = row_major_strides(out.type.shape);
    for (size_t i = 0; i < from.size(); ++i) {
      size_t at = 0;
      for (size_t axis = 0; axis < 4; ++axis) {
        at += i / static_cast<size_t>(result[axis]) % static_cast<size_t>(out.type.shape[axis]) *
              static_cast<size_t>(dense[static_cast<size_t>(perm[axis])]);
      }
      ASSERT_EQ(got[i], from[at]);
    }
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST(Shape, TransposeEveryPermutationOfFourAxes) {
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{1, 3, 1, 5}, Shape{1, 1, 1, 4}}) {
    check_every_transpose(shape);
  }
  EXPECT_THAT(evaluate({floats({2, 3}, {1, 2, 3, 4, 5, 6})},
                       [](Builder& b, const Values& in) {
                         return Values{b.transpose(in[0], {-1, 0})};
                       })
                  .floats(),
              ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(Shape, SliceByIndex) {
  const Tensor x = floats({2, 6}, {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15});
  const auto slice = [&](std::vector<int64_t> begin, std::vector<int64_t> end,
                         std::vector<int64_t> stride, std::vector<int64_t> mask) {
    return evaluate({x},
                    [&](Builder& b, const Values& in) {
                      return Values{b.slice_by_index(in[0], begin, end, stride, mask)};
                    })
        .floats();
  };
  // The odd channels of interleaved RoPE: masked axes carry ends that are wrong if honoured.
  EXPECT_THAT(slice({0, 1}, {1, 1}, {1, 2}, {1, 1}), ElementsAre(1, 3, 5, 11, 13, 15));
  EXPECT_THAT(slice({0, 0}, {1, 1}, {1, 2}, {1, 1}), ElementsAre(0, 2, 4, 10, 12, 14));
  EXPECT_THAT(slice({0, 0}, {2, 3}, {}, {}), ElementsAre(0, 1, 2, 10, 11, 12));
  EXPECT_THAT(slice({1, -2}, {2, 6}, {}, {}), ElementsAre(14, 15));
  EXPECT_THAT(slice({0, 5}, {1, 1}, {1, -2}, {}), ElementsAre(5, 3));
}

TEST(Shape, SliceSqueezes) {
  const Tensor x = floats({2, 3}, {0, 1, 2, 10, 11, 12});
  const auto out = evaluate({x}, [](Builder& b, const Values& in) {
    return Values{b.op("slice_by_index", {{"x", {in[0]}},
                                          {"begin", {b.ints({1, 0})}},
                                          {"end", {b.ints({2, 3})}},
                                          {"squeeze_mask", {b.bools({1, 0})}}})};
  });
  EXPECT_EQ(out.type.shape, (Shape{3}));
  EXPECT_THAT(out.floats(), ElementsAre(10, 11, 12));
}

TEST(Shape, SplitReshapeExpandSqueezeAndGraphBreak) {
  const Tensor x = floats({2, 3}, {0, 1, 2, 10, 11, 12});
  const auto function = build({x.type}, [](Builder& b, const Values& in) {
    const Values parts = b.multi_op(
        "split", {{"x", {in[0]}}, {"axis", {b.int_scalar(-1)}}, {"split_sizes", {b.ints({1, 2})}}},
        2);
    Value* grown = b.expand_dims(b.reshape(parts[1], {4, 1}), {0});
    Value* squeezed = b.op("squeeze", {{"x", {grown}}});
    const Values after = b.graph_break({squeezed, parts[0]});
    return Values{after[0], b.add(after[1], after[1]), parts[0]};
  });
  const auto outcome = run(*function, {x});
  EXPECT_EQ(outcome.outputs[0].type.shape, (Shape{4}));
  EXPECT_THAT(outcome.outputs[0].floats(), ElementsAre(1, 2, 11, 12));
  EXPECT_THAT(outcome.outputs[1].floats(), ElementsAre(0, 20));
  EXPECT_THAT(outcome.outputs[2].floats(), ElementsAre(0, 10));
}

TEST(Reduce, AlongAnyAxes) {
  const Shape shape{3, 4, 5};
  const Tensor x = random_floats(shape, 1);
  const auto from = x.floats();
  const std::vector<std::vector<int64_t>> sets = {{-1}, {0}, {1}, {0, 2}, {1, 2}, {0, 1, 2}};
  for (const auto& axes : sets) {
    for (const bool keep : {false, true}) {
      const auto reduce = [&](const char* op) {
        return evaluate({x}, [&](Builder& b, const Values& in) {
          return Values{b.op(
              op,
              {{"x", {in[0]}}, {"axes", {b.ints(axes)}}, {"keep_dims", {b.bool_scalar(keep)}}})};
        });
      };
      std::vector<double> total(60, 0), largest(60, -1e9);
      std::vector<int> count(60, 0);
      for (int64_t i = 0; i < 60; ++i) {
        const int64_t index[3] = {i / 20, i / 5 % 4, i % 5};
        int64_t at = 0;
        for (int64_t axis = 0; axis < 3; ++axis) {
          const bool reduced = std::count(axes.begin(), axes.end(), axis) +
                                   std::count(axes.begin(), axes.end(), axis - 3) >
                               0;
          if (!reduced) at = at * shape[static_cast<size_t>(axis)] + index[axis];
        }
        const auto a = static_cast<size_t>(at), n = static_cast<size_t>(i);
        total[a] += from[n];
        largest[a] = std::max<double>(largest[a], from[n]);
        ++count[a];
      }
      const Tensor sum = reduce("reduce_sum"), mean = reduce("reduce_mean"),
                   max = reduce("reduce_max");
      EXPECT_EQ(sum.type.rank(), keep ? 3 : 3 - static_cast<int64_t>(axes.size()));
      const auto sums = sum.floats(), means = mean.floats(), maxima = max.floats();
      for (size_t i = 0; i < sums.size(); ++i) {
        EXPECT_NEAR(sums[i], total[i], 1e-5);
        EXPECT_NEAR(means[i], total[i] / count[i], 1e-6);
        EXPECT_EQ(maxima[i], static_cast<float>(largest[i]));
      }
    }
  }
}

TEST(Reduce, MaximumOfInfinitiesAndNaN) {
  const Tensor x = floats({3, 2}, {-kInf, -kInf, kNoNumber, 1, 1, kNoNumber});
  const auto out = evaluate({x}, [](Builder& b, const Values& in) {
                     return Values{b.reduce_max(in[0], {-1}, false)};
                   }).floats();
  EXPECT_EQ(out[0], -kInf);
  EXPECT_TRUE(std::isnan(out[1]));
  EXPECT_TRUE(std::isnan(out[2]));
}

TEST(Softmax, RowsOfEveryLengthAlongAnyAxis) {
  for (int64_t n = 1; n <= 40; ++n) {
    for (const int64_t axis : {0, 1, 2, -1}) {
      Shape shape{3, 3, 3};
      shape[static_cast<size_t>(axis < 0 ? axis + 3 : axis)] = n;
      const Tensor x = random_floats(shape, static_cast<uint32_t>(n), DType::F32, 4);
      const auto got = evaluate({x}, [&](Builder& b, const Values& in) {
                         return Values{b.softmax(in[0], axis)};
                       }).floats();
      const auto from = x.floats();
      const auto stride =
          static_cast<size_t>(row_major_strides(shape)[static_cast<size_t>((axis + 3) % 3)]);
      const auto length = static_cast<size_t>(n);
      for (size_t i = 0; i < from.size(); ++i) {
        const size_t first = i - i / stride % length * stride;
        double total = 0;
        for (size_t k = 0; k < length; ++k) {
          total += std::exp(static_cast<double>(from[first + k * stride]) - from[i]);
        }
        EXPECT_NEAR(got[i], 1 / total, 1e-6);
      }
    }
  }
}

TEST(Softmax, MaskedEntriesAreExactlyZero) {
  const Tensor x =
      floats({3, 4}, {-kInf, 1, -kInf, 1, 500, -kInf, -kInf, -500, -kInf, -kInf, -kInf, -kInf});
  for (const RunOptions& options : {RunOptions{}, typed()}) {
    const auto out =
        evaluate(
            {x}, [](Builder& b, const Values& in) { return Values{b.softmax(in[0], -1)}; }, options)
            .floats();
    EXPECT_THAT(std::vector<float>(out.begin(), out.begin() + 8),
                ElementsAre(0, 0.5f, 0, 0.5f, 1, 0, 0, 0));
    for (size_t i = 8; i < 12; ++i) EXPECT_TRUE(std::isnan(out[i]));
  }
}

TEST(Matmul, BroadcastsBatchesAndTransposes) {
  const std::pair<Shape, Shape> batches[] = {
      {{}, {}}, {{2, 3}, {2, 3}}, {{4, 2}, {4, 1}}, {{3}, {2, 1}}, {{2, 1, 2}, {3, 1}}};
  uint32_t seed = 0;
  for (const auto& [x_batch, y_batch] : batches) {
    for (const auto [m, k, n] :
         {std::array<int64_t, 3>{1, 8, 17}, {5, 3, 1}, {7, 40, 33}, {2, 1, 70}}) {
      for (const int flags : {0, 1, 2, 3}) {
        const bool tx = flags & 1, ty = flags & 2;
        Shape x_shape = x_batch, y_shape = y_batch;
        for (const int64_t dim : {tx ? k : m, tx ? m : k}) x_shape.push_back(dim);
        for (const int64_t dim : {ty ? n : k, ty ? k : n}) y_shape.push_back(dim);
        const Tensor x = random_floats(x_shape, ++seed), y = random_floats(y_shape, ++seed);
        RunOptions options;
        options.threads = 1 + flags;
        const Tensor out = evaluate(
            {x, y},
            [&](Builder& b, const Values& in) { return Values{b.matmul(in[0], in[1], tx, ty)}; },
            options);
        const auto got = out.floats(), a = x.floats(), b = y.floats();
        Shape batch(out.type.shape.begin(), out.type.shape.end() - 2);
        const Shape dense = row_major_strides(batch);
        const Shape xs = broadcast_strides(x_batch, batch), ys = broadcast_strides(y_batch, batch);
        const auto batches_count = static_cast<int64_t>(element_count(batch).value());
        for (int64_t i = 0; i < batches_count; ++i) {
          int64_t xi = 0, yi = 0;
          for (size_t axis = 0; axis < batch.size(); ++axis) {
            xi += i / dense[axis] % batch[axis] * xs[axis];
            yi += i / dense[axis] % batch[axis] * ys[axis];
          }
          for (int64_t r = 0; r < m; ++r) {
            for (int64_t c = 0; c < n; ++c) {
              double expected = 0;
              for (int64_t j = 0; j < k; ++j) {
                const int64_t xa = xi * m * k + (tx ? j * m + r : r * k + j);
                const int64_t ya = yi * k * n + (ty ? c * k + j : j * n + c);
                expected +=
                    static_cast<double>(a[static_cast<size_t>(xa)]) * b[static_cast<size_t>(ya)];
              }
              ASSERT_NEAR(got[static_cast<size_t>((i * m + r) * n + c)], expected, 1e-5);
            }
          }
        }
      }
    }
  }
}

TEST(Gather, AlongAnyAxis) {
  const Tensor x = floats({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const auto gather = [&](const Tensor& at, int64_t axis) {
    return evaluate({x, at}, [&](Builder& b, const Values& in) {
      return Values{b.gather(in[0], in[1], axis)};
    });
  };
  const auto rows = gather(ints({1, 3}, {1, 0, 1}, DType::Int16), 0);
  EXPECT_EQ(rows.type.shape, (Shape{1, 3, 3, 2}));
  EXPECT_THAT(rows.floats(), ElementsAre(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_THAT(gather(ints({1}, {2}), 1).floats(), ElementsAre(4, 5, 10, 11));
  EXPECT_THAT(gather(ints({2}, {1, 1}), -1).floats(),
              ElementsAre(1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11));
}

TEST(Gather, IndexOutOfRangeIsAnErrorThatNamesIt) {
  for (const int64_t bad : {-1, 5, 2147483647}) {
    const Tensor at = ints({1, 3}, {0, bad, 1});
    const auto function = build({at.type}, [](Builder& b, const Values& in) {
      Value* table = b.constant("table", random_weight({DType::F16, {5, 4}}, 1));
      return Values{b.gather(table, in[0], 0)};
    });
    const auto outcome = try_run(*function, {at});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().to_string(), "main: gather 'gather': index " + std::to_string(bad) +
                                               " at position 1 is outside [0, 5)");
  }
}

// The index arithmetic that surrounds the embedding: negative ids count from the end.
TEST(Gather, EmbeddingChain) {
  const Tensor tokens = ints({1, 3}, {2, -1, 0});
  const auto out = evaluate({tokens}, [](Builder& b, const Values& in) {
    Value* table = b.constant("table", iota_weight({DType::F16, {4, 2}}));
    Value* t = b.cast(b.cast(in[0], DType::Int16), DType::Int32);
    Value* index = b.select(b.greater_equal(t, b.int_scalar(0)), t, b.add(t, b.int_scalar(4)));
    return Values{b.gather(table, b.cast(index, DType::Int16), 0)};
  });
  EXPECT_THAT(out.floats(), ElementsAre(4, 5, 6, 7, 0, 1));
}

}  // namespace
}  // namespace diptych::engine
