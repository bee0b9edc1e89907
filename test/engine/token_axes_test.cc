// The token axis is followed through each kind of operation, and rows are limited by it alone.
#include "engine/token_axes.h"

#include <gmock/gmock.h>

#include "engine_test_util.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using ::testing::HasSubstr;
using Values = std::vector<Value*>;

constexpr int64_t kAxisTokens = 4, kWidth = 8;
const TensorType kAxisX{DType::F32, {1, kAxisTokens, kWidth}};
const TensorType kIds{DType::Int32, {1, kAxisTokens}};
// As many heads as there are tokens.
const TensorType kHeads{DType::F32, {1, kAxisTokens, kWidth}};

// The token axes of what `body` makes of x [1, tokens, width] and ids [1, tokens], both of tokens,
// and of heads [1, heads, width], which are not.
std::vector<TokenAxis> axes_of(const Body& body) {
  const auto function = build({kAxisX, kIds, kHeads}, body);
  const auto axes = TokenAxes::find(*function, {1, 1});
  EXPECT_TRUE(axes) << axes.error().to_string();
  EXPECT_EQ(axes->tokens(), kAxisTokens);
  std::vector<TokenAxis> found;
  for (const Value* output : function->outputs) found.push_back(axes->of(*output));
  return found;
}

TokenAxis axis_of(const std::function<Value*(Builder&, Value* x, Value* ids, Value* heads)>& body) {
  return axes_of([&](Builder& b, const Values& in) { return Values{body(b, in[0], in[1], in[2])}; })
      .front();
}

constexpr TokenAxis kNone;

TEST(TokenAxes, FollowElements) {
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) { return b.add(x, x); }), 1);
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) { return b.silu(x); }), 1);
  // Broadcast from the right.
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) {
              return b.mul(b.constant("w", random_weight({DType::F32, {2, 1, 1, kWidth}}, 1)), x);
            }),
            2);
  // Tokens by tokens: neither axis is meant alone.
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) {
              return b.add(b.reduce_mean(x, {2}, false),
                           b.transpose(b.reduce_mean(x, {0, 2}, true), {1, 0, 2}));
            }),
            kNone);
  EXPECT_EQ(axis_of([](Builder& b, Value*, Value*, Value* heads) { return b.silu(heads); }), kNone);
}

TEST(TokenAxes, FollowShapes) {
  const auto reshaped = [](Shape shape) {
    return axis_of([&](Builder& b, Value* x, Value*, Value*) { return b.reshape(x, shape); });
  };
  EXPECT_EQ(reshaped({kAxisTokens, kWidth}), 0);
  EXPECT_EQ(reshaped({1, kAxisTokens, 2, 4}), 1);
  EXPECT_EQ(reshaped({1, 1, kAxisTokens, 2, 4}), 2);
  EXPECT_EQ(reshaped({2, 4, 4}), kNone);  // 4 elements, which are no tokens
  EXPECT_EQ(reshaped({1, kAxisTokens * kWidth}), kNone);
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) {
              return b.expand_dims(x, {0, 4});
            }),
            2);
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) {
              return b.transpose(b.reshape(x, {1, kAxisTokens, 2, 4}), {0, 2, 1, 3});
            }),
            2);
  const auto sliced = [](std::vector<int64_t> begin, std::vector<int64_t> end,
                         std::vector<int64_t> stride) {
    return axis_of([&](Builder& b, Value* x, Value*, Value*) {
      return b.slice_by_index(x, begin, end, stride, {0, 0, 0});
    });
  };
  EXPECT_EQ(sliced({0, 0, 2}, {1, kAxisTokens, 4}, {1, 1, 1}), 1);
  EXPECT_EQ(sliced({0, 1, 0}, {1, kAxisTokens, kWidth}, {1, 1, 1}), kNone);
}

TEST(TokenAxes, FollowPieces) {
  const auto joined = [](int64_t axis) {
    return axis_of([&](Builder& b, Value* x, Value*, Value*) { return b.concat({x, x}, axis); });
  };
  EXPECT_EQ(joined(2), 1);
  EXPECT_EQ(joined(-1), 1);
  EXPECT_EQ(joined(1), kNone);
  const auto stacked = [](int64_t axis) {
    return axis_of([&](Builder& b, Value* x, Value*, Value*) { return b.stack({x, x}, axis); });
  };
  EXPECT_EQ(stacked(0), 2);
  EXPECT_EQ(stacked(-1), 1);
  // Gathered by ids: a row for each. Of the tokens themselves: an order of its own.
  EXPECT_EQ(
      axis_of([](Builder& b, Value*, Value* ids, Value*) {
        return b.gather(b.constant("table", random_weight({DType::F32, {9, kWidth}}, 1)), ids, 0);
      }),
      1);
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) {
              return b.gather(x, b.ints({3, 2, 1, 0}), 1);
            }),
            kNone);
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value*) {
              return b.gather(x, b.ints({0, 2, 4}), 2);
            }),
            1);
}

TEST(TokenAxes, FollowSumsAndProducts) {
  const auto reduced = [](std::vector<int64_t> axes, bool keep) {
    return axis_of(
        [&](Builder& b, Value* x, Value*, Value*) { return b.reduce_mean(x, axes, keep); });
  };
  EXPECT_EQ(reduced({-1}, true), 1);
  EXPECT_EQ(reduced({0, 2}, false), 0);
  EXPECT_EQ(reduced({1}, true), kNone);
  const auto softmax = [](int64_t axis) {
    return axis_of([&](Builder& b, Value* x, Value*, Value*) { return b.softmax(x, axis); });
  };
  EXPECT_EQ(softmax(-1), 1);
  EXPECT_EQ(softmax(1), kNone);
  EXPECT_EQ(
      axis_of([](Builder& b, Value* x, Value*, Value*) {
        return b.linear(x, b.constant("w", random_weight({DType::F32, {3, kWidth}}, 1)), nullptr);
      }),
      1);
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value* heads) {
              return b.matmul(x, heads, false, true);
            }),
            1);
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value* heads) {
              return b.matmul(heads, x, false, true);
            }),
            2);
  EXPECT_EQ(
      axis_of([](Builder& b, Value* x, Value*, Value*) { return b.matmul(x, x, false, true); }),
      kNone);
  // Summed over the tokens.
  EXPECT_EQ(axis_of([](Builder& b, Value* x, Value*, Value* heads) {
              return b.matmul(x, heads, true, false);
            }),
            kNone);
}

TEST(TokenAxes, AreRefusedWhereInputsLackThem) {
  const auto function = build({kAxisX, kIds}, [](Builder&, const Values& in) { return in; });
  const auto problem = [&](const std::vector<TokenAxis>& axes) {
    ExecutableOptions options;
    options.token_axes = axes;
    const auto compiled = Executable::compile(*function, options);
    return compiled ? "none" : compiled.error().to_string();
  };
  EXPECT_EQ(problem({1, 1}), "none");
  EXPECT_EQ(problem({{}, 1}), "none");
  EXPECT_THAT(problem({3}), HasSubstr("has no axis 3 for tokens"));
  EXPECT_THAT(problem({2, 1}), HasSubstr("another input has 8"));
}

// Linears and gates of the tokens and, as many, of the heads.
std::unique_ptr<mil::Function> tokens_and_heads() {
  const TensorType half{DType::F16, kAxisX.shape};
  return build({half, half}, [](Builder& b, const Values& in) {
    Value* w = b.constant("w", random_weight({DType::F16, {kWidth, kWidth}}, 3));
    const auto layer = [&](Value* x) {
      Value* y = b.linear(x, w, nullptr);
      return b.linear(b.mul(b.silu(y), x), w, nullptr);
    };
    return Values{layer(in[0]), layer(in[1])};
  });
}

TEST(TokenAxes, LimitTheirOwnRowsAndNoOthers) {
  const auto function = tokens_and_heads();
  const Tensor x = random_floats(kAxisX.shape, 1, DType::F16),
               heads = random_floats(kHeads.shape, 2, DType::F16);
  for (const Numerics numerics : {Numerics::Typed, Numerics::Precise, Numerics::Fast}) {
    ExecutableOptions options;
    options.numerics = numerics;
    const Outcome all = run(*function, {x, heads}, {options, 1});
    options.token_axes = {1};
    const auto executable = Executable::compile(*function, options).value();
    EXPECT_EQ(executable->tokens(), kAxisTokens);
    EXPECT_EQ(executable->inputs()[0].token_axis, 1);
    EXPECT_EQ(executable->inputs()[1].token_axis, kNone);
    EXPECT_EQ(executable->outputs()[0].token_axis, 1);
    EXPECT_EQ(executable->outputs()[1].token_axis, kNone);
    auto execution = Execution::create(executable).value();
    Tensor of_tokens = all.outputs[0], of_heads = all.outputs[1];
    ASSERT_TRUE(execution->bind_input(0, x.data.data(), x.type));
    ASSERT_TRUE(execution->bind_input(1, heads.data.data(), heads.type));
    ASSERT_TRUE(execution->bind_output(0, of_tokens.data.data(), of_tokens.type));
    ASSERT_TRUE(execution->bind_output(1, of_heads.data.data(), of_heads.type));
    ThreadPool pool(2);
    const Shape row{1, 1, kWidth};
    for (const int64_t live : {int64_t{1}, int64_t{3}, kAxisTokens, kAxisTokens + 1}) {
      execution->limit_tokens(live);
      std::fill(of_tokens.data.begin(), of_tokens.data.end(), std::byte{1});
      const Tensor marked = of_tokens;
      ASSERT_TRUE(execution->run(pool));
      for (int64_t i = 0; i < kAxisTokens; ++i) {
        EXPECT_EQ(part_of(of_tokens, i * kWidth, row).data,
                  part_of(i < live ? all.outputs[0] : marked, i * kWidth, row).data)
            << live << " " << i;
      }
      EXPECT_EQ(of_heads.data, all.outputs[1].data) << live;
    }
  }
}

}  // namespace
}  // namespace diptych::engine
