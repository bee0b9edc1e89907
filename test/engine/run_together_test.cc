// Executions of one function that run together: the bits of each on its own.
#include <gmock/gmock.h>

#include "engine_test_util.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using Values = std::vector<Value*>;
using testing::HasSubstr;

constexpr int64_t kTokens = 3, kTogetherWidth = 96;
const TensorType kX{DType::F16, {1, kTokens, kTogetherWidth}};

WeightRef packed_random(DType dtype, Shape shape, uint32_t seed) {
  const WeightRef weight = random_weight({dtype, std::move(shape)}, seed);
  return shifted_weight({weight->type(), read_all(*packed_source(weight)).value()}, 0);
}

// Weights that are computed with in different ways.
enum class Stored { Half, Int4, Int8Blocks, Palette, OddBlocks };

Value* weight(Builder& b, Stored stored, uint32_t seed) {
  const auto scaled = [&](DType dtype, int64_t block) {
    Value* data = b.constant("data", packed_random(dtype, {kTogetherWidth, kTogetherWidth}, seed));
    Value* scale =
        b.constant("scale", shifted_weight(random_floats({kTogetherWidth, kTogetherWidth / block},
                                                         seed + 1, DType::F16, 0.01f),
                                           0));
    return b.op("constexpr_blockwise_shift_scale", {{"data", {data}}, {"scale", {scale}}});
  };
  switch (stored) {
    case Stored::Half:
      return b.constant("w", packed_random(DType::F16, {kTogetherWidth, kTogetherWidth}, seed));
    case Stored::Int4:
      return scaled(DType::Int4, kTogetherWidth);
    case Stored::Int8Blocks:
      return scaled(DType::Int8, 32);
    case Stored::OddBlocks:  // for which there are no kernels
      return scaled(DType::Int8, 3);
    case Stored::Palette: {
      Value* indices = b.constant(
          "indices", packed_random(DType::UInt4, {kTogetherWidth, kTogetherWidth}, seed));
      Value* lut = b.constant("lut", packed_random(DType::F16, {1, 1, 16, 1}, seed + 1));
      return b.op("constexpr_lut_to_dense", {{"indices", {indices}}, {"lut", {lut}}});
    }
  }
  return nullptr;
}

// Two linears, one with a bias and a residual sum, with something between them.
std::unique_ptr<mil::Function> layers(Stored stored) {
  return build({kX}, [&](Builder& b, const Values& in) {
    Value* bias = b.constant("bias", packed_random(DType::F16, {kTogetherWidth}, 5));
    Value* hidden = b.linear(in[0], weight(b, stored, 1), nullptr);
    Value* gated = b.mul(b.silu(hidden), in[0]);
    return Values{b.add(in[0], b.linear(gated, weight(b, stored, 3), bias))};
  });
}

struct Call {
  std::unique_ptr<Execution> execution;
  Tensor x, y;

  Call(const std::shared_ptr<const Executable>& executable, uint32_t seed, int64_t live)
      : execution(Execution::create(executable).value()),
        x(random_floats(kX.shape, seed, DType::F16)),
        y{kX, std::vector<std::byte>(x.data.size(), std::byte{1})} {
    EXPECT_TRUE(execution->bind_input(0, x.data.data(), x.type));
    EXPECT_TRUE(execution->bind_output(0, y.data.data(), y.type));
    execution->limit_tokens(live);
  }
};

TEST(RunTogether, GivesTheBitsOfEachAlone) {
  ThreadPool pool(2);
  JointMemory memory;
  for (const Stored stored :
       {Stored::Half, Stored::Int4, Stored::Int8Blocks, Stored::Palette, Stored::OddBlocks}) {
    const auto function = layers(stored);
    for (const Numerics numerics : {Numerics::Typed, Numerics::Precise, Numerics::Fast}) {
      ExecutableOptions options;
      options.numerics = numerics;
      options.token_axes = {1};
      const auto executable = Executable::compile(*function, options).value();
      for (const size_t count : {1, 2, 7, 20}) {
        std::vector<Call> calls;
        std::vector<Execution*> executions;
        std::vector<Tensor> alone;
        for (size_t i = 0; i < count; ++i) {
          Call& call = calls.emplace_back(executable, static_cast<uint32_t>(20 + i),
                                          static_cast<int64_t>(1 + i % kTokens));
          executions.push_back(call.execution.get());
          ASSERT_TRUE(call.execution->run(pool));
          alone.push_back(call.y);
          std::fill(call.y.data.begin(), call.y.data.end(), std::byte{1});
        }
        ASSERT_TRUE(Execution::run_together(executions, pool, memory));
        for (size_t i = 0; i < count; ++i) {
          EXPECT_EQ(calls[i].y.data, alone[i].data)
              << static_cast<int>(stored) << ", " << name(numerics) << ", " << i << " of " << count;
        }
      }
    }
  }
}

TEST(RunTogether, CountsTheOverflowsOfEach) {
  const auto function =
      build({kX}, [](Builder& b, const Values& in) { return Values{b.mul(in[0], in[0])}; });
  const auto executable = Executable::compile(*function, typed().executable).value();
  Call small(executable, 1, kTokens), large(executable, 2, kTokens);
  const Tensor big =
      floats(kX.shape, std::vector<float>(kTokens * kTogetherWidth, 300), DType::F16);
  ASSERT_TRUE(large.execution->bind_input(0, big.data.data(), big.type));
  ThreadPool pool(2);
  JointMemory memory;
  Execution* both[] = {small.execution.get(), large.execution.get()};
  ASSERT_TRUE(Execution::run_together(both, pool, memory));
  EXPECT_EQ(small.execution->overflows().count, 0);
  EXPECT_EQ(large.execution->overflows().count, kTokens * kTogetherWidth);
}

TEST(RunTogether, RefusesExecutionsOfSeveralFunctions) {
  const auto one = Executable::compile(*layers(Stored::Int4)).value();
  const auto other = Executable::compile(*layers(Stored::Int4)).value();
  Call a(one, 1, kTokens), b(other, 2, kTokens);
  ThreadPool pool(1);
  JointMemory memory;
  Execution* both[] = {a.execution.get(), b.execution.get()};
  const Status status = Execution::run_together(both, pool, memory);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().to_string(), HasSubstr("no executions of one function"));
}

}  // namespace
}  // namespace diptych::engine
