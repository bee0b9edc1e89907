// Compiling and binding: what is refused, how buffers are used, and what the numerics promise.
#include "engine/executable.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "base/half.h"
#include "engine_test_util.h"
#include "mil/text.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Values = std::vector<Value*>;

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Numerics, NamesAreParsed) {
  EXPECT_EQ(numerics_from_name("typed").value(), Numerics::Typed);
  EXPECT_EQ(numerics_from_name("precise").value(), Numerics::Precise);
  EXPECT_EQ(name(Numerics::Typed), "typed");
  EXPECT_EQ(numerics_from_name("fast").value(), Numerics::Fast);
  EXPECT_EQ(name(Numerics::Fast), "fast");
  EXPECT_THAT(numerics_from_name("exact").error().to_string(), HasSubstr("typed, precise or fast"));
}

TEST(Compile, ListsEverythingThatIsNotSupported) {
  mil::Function function("main");
  Value* x = function.add_input("x", {DType::F32, {2}});
  Value* wide = function.add_input("wide", {DType::Int64, {2}});
  mil::Op* first = function.add_op("no_such_op", {{"x", {x}}}, {{"a", {DType::F32, {2}}}});
  mil::Op* second =
      function.add_op("other_op", {{"x", {first->result()}}}, {{"b", {DType::F32, {2}}}});
  mil::Op* fine = function.add_op("silu", {{"x", {second->result()}}}, {{"c", {DType::F32, {2}}}});
  function.outputs = {fine->result(), wide};
  const auto compiled = Executable::compile(function);
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().code, ErrorCode::Unsupported);
  EXPECT_THAT(compiled.error().items,
              ElementsAre("input 'wide': type int64[2]", "no_such_op 'a': unknown operation",
                          "other_op 'b': unknown operation", "output 'wide': type int64[2]"));
}

TEST(Compile, RefusesWhatTheVerifierRefuses) {
  mil::Function function("main");
  Value* x = function.add_input("x", {DType::F32, {2}});
  mil::Op* op = function.add_op("silu", {{"x", {x}}}, {{"a", {DType::F32, {3}}}});
  function.outputs = {op->result()};
  EXPECT_FALSE(Executable::compile(function));
}

TEST(Compile, HugeBuffersAreAnErrorNotAnAllocation) {
  // An outer product of two small inputs.
  const int64_t side = 1 << 20;
  const auto function =
      build({{DType::F16, {side, 1}}, {DType::F16, {1, side}}}, [](Builder& b, const Values& in) {
        return Values{b.reduce_max(b.mul(in[0], in[1]), {0, 1}, false)};
      });
  const auto compiled = Executable::compile(*function);
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().to_string(), HasSubstr("memory limit"));
  EXPECT_THAT(compiled.error().to_string(), HasSubstr("mul"));
}

TEST(Compile, TheLimitIsOnAllBuffersTogether) {
  const auto function = build({{DType::F32, {1000}}}, [](Builder& b, const Values& in) {
    Values parts;
    for (int i = 0; i < 10; ++i) parts.push_back(b.mul(in[0], in[0]));
    return Values{b.concat(parts, 0)};
  });
  ExecutableOptions options;
  options.memory_limit = 50000;
  EXPECT_THAT(Executable::compile(*function, options).error().to_string(),
              HasSubstr("memory limit"));
  options.memory_limit = 200000;
  EXPECT_TRUE(Executable::compile(*function, options));
}

TEST(Compile, HugeConstantsAreAnErrorNotAnAllocation) {
  const auto function = build({{DType::F16, {}}}, [](Builder& b, const Values& in) {
    Value* huge = b.constant("huge", zeros({DType::F16, {int64_t{1} << 40}}));
    return Values{b.reduce_max(b.mul(huge, in[0]), {0}, false)};
  });
  EXPECT_THAT(Executable::compile(*function).error().to_string(), HasSubstr("memory limit"));
}

TEST(Compile, BuffersShareMemoryWhenTheyLiveAtDifferentTimes) {
  const auto function = build({{DType::F32, {4096}}}, [](Builder& b, const Values& in) {
    Value* x = in[0];
    for (int i = 0; i < 100; ++i) x = b.silu(x);
    return Values{x};
  });
  const auto executable = Executable::compile(*function).value();
  EXPECT_LE(executable->arena_size(), 4u * 4096 * 4);
}

// Random graphs of adds whose buffers come and go: any sharing of live memory changes the sums.
TEST(Compile, LiveBuffersNeverShareMemory) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::vector<double>> expected;
    const auto function = build({{DType::F32, {70}}}, [&](Builder& b, const Values& in) {
      Values live{in[0]};
      std::vector<double> input(70);
      for (size_t i = 0; i < 70; ++i) input[i] = static_cast<double>(i % 7);
      std::vector<std::vector<double>> values{input};
      for (int i = 0; i < 60; ++i) {
        const size_t x = random() % live.size(), y = random() % live.size();
        std::vector<double> sum(70);
        for (size_t k = 0; k < 70; ++k)
          sum[k] = std::max(values[x][k] + values[y][k] - 1000, -1000.0);
        Value* difference = b.sub(b.add(live[x], live[y]), b.float_scalar(DType::F32, 1000));
        // Keep numbers small and exact: max(v, -1000).
        Value* bounded = b.select(b.greater_equal(difference, b.float_scalar(DType::F32, -1000)),
                                  difference, b.float_scalar(DType::F32, -1000));
        const size_t replaced = random() % (live.size() + 1);
        if (replaced == live.size() && live.size() < 8) {
          live.push_back(bounded);
          values.push_back(sum);
        } else {
          live[replaced % live.size()] = bounded;
          values[replaced % values.size()] = sum;
        }
      }
      expected = values;
      return live;
    });
    std::vector<float> input(70);
    for (size_t i = 0; i < 70; ++i) input[i] = static_cast<float>(i % 7);
    const auto outcome = run(*function, {floats({70}, input)});
    for (size_t o = 0; o < expected.size(); ++o) {
      const auto got = outcome.outputs[o].floats();
      for (size_t i = 0; i < 70; ++i) ASSERT_EQ(got[i], expected[o][i]) << "seed " << seed;
    }
  }
}

TEST(Binding, TypesAreChecked) {
  const auto function = build({{DType::F16, {4}}},
                              [](Builder& b, const Values& in) { return Values{b.silu(in[0])}; });
  auto execution = Execution::create(Executable::compile(*function).value()).value();
  std::vector<std::byte> buffer(64);
  ThreadPool pool(1);
  EXPECT_THAT(execution->bind_input(0, buffer.data(), {DType::F32, {4}}).error().to_string(),
              HasSubstr("expected fp16[4], got fp32[4]"));
  EXPECT_FALSE(execution->bind_input(0, buffer.data(), {DType::F16, {2, 2}}));
  EXPECT_FALSE(execution->bind_input(1, buffer.data(), {DType::F16, {4}}));
  EXPECT_FALSE(execution->bind_input(0, nullptr, {DType::F16, {4}}));
  EXPECT_FALSE(execution->bind_output(1, buffer.data(), {DType::F16, {4}}));
  EXPECT_THAT(execution->run(pool).error().to_string(), HasSubstr("input 'in0' is not bound"));
  EXPECT_TRUE(execution->bind_input(0, buffer.data(), {DType::F16, {4}}));
  EXPECT_THAT(execution->run(pool).error().to_string(), HasSubstr("is not bound"));
  EXPECT_TRUE(execution->bind_output(0, buffer.data(), {DType::F16, {4}}));
  EXPECT_TRUE(execution->run(pool));
}

TEST(Binding, AnyAddressOfEveryType) {
  for (const DType dtype : {DType::F16, DType::F32}) {
    const Tensor x = random_floats({3, 37}, 1, dtype);
    const auto function = build({x.type}, [](Builder& b, const Values& in) {
      return Values{b.mul(in[0], in[0]), in[0]};
    });
    const auto outcome = run(*function, {x}, {}, true);
    EXPECT_EQ(outcome.outputs[0].data, run(*function, {x}).outputs[0].data);
    EXPECT_EQ(outcome.outputs[1].data, x.data);
  }
  for (const DType dtype :
       {DType::Bool, DType::Int8, DType::Int16, DType::Int32, DType::UInt8, DType::UInt16}) {
    const bool is_signed = dtype == DType::Int8 || dtype == DType::Int16 || dtype == DType::Int32;
    const Tensor x = ints({4}, {0, 1, 1, dtype == DType::Bool ? 0 : is_signed ? -100 : 200}, dtype);
    const auto function = build({x.type}, [](Builder& b, const Values& in) {
      return Values{b.concat({in[0], in[0]}, 0), b.reshape(in[0], {2, 2})};
    });
    const auto outcome = run(*function, {x}, {}, true);
    EXPECT_EQ(outcome.outputs[1].data, x.data);
    EXPECT_EQ(outcome.outputs[0].ints()[7], x.ints()[3]);
  }
}

TEST(Binding, OutputsMayLieOverInputs) {
  // out0 = x + x goes over y, which is itself passed through to another buffer.
  const TensorType type{DType::F32, {3}};
  const auto function = build({type, type}, [](Builder& b, const Values& in) {
    return Values{b.add(in[0], in[0]), in[1], b.add(in[0], in[1])};
  });
  auto execution = Execution::create(Executable::compile(*function).value()).value();
  std::vector<float> x{1, 2, 3}, y{10, 20, 30}, passed(3), sum(3);
  ASSERT_TRUE(execution->bind_input(0, x.data(), type));
  ASSERT_TRUE(execution->bind_input(1, y.data(), type));
  ASSERT_TRUE(execution->bind_output(0, y.data(), type));
  ASSERT_TRUE(execution->bind_output(1, passed.data(), type));
  ASSERT_TRUE(execution->bind_output(2, sum.data(), type));
  ThreadPool pool(2);
  ASSERT_TRUE(execution->run(pool));
  EXPECT_THAT(y, ElementsAre(2, 4, 6));
  EXPECT_THAT(passed, ElementsAre(10, 20, 30));
  EXPECT_THAT(sum, ElementsAre(11, 22, 33));
}

TEST(Binding, ConstantsAndTheSameValueTwiceAsOutputs) {
  const auto function = build({{DType::F32, {2}}}, [](Builder& b, const Values& in) {
    Value* sum = b.add(in[0], in[0]);
    Value* constant = b.constant("c", constant_floats(DType::F16, {2}, {0.5, kInf}));
    return Values{sum, constant, b.reshape(sum, {1, 2})};
  });
  const auto outcome = run(*function, {floats({2}, {1, 2})});
  EXPECT_THAT(outcome.outputs[0].floats(), ElementsAre(2, 4));
  EXPECT_THAT(outcome.outputs[1].floats(), ElementsAre(0.5f, kInf));
  EXPECT_THAT(outcome.outputs[2].floats(), ElementsAre(2, 4));
  EXPECT_EQ(outcome.overflows.count, 0u);
}

TEST(Execution, OneExecutableServesSeveralThreads) {
  const auto function = build({{DType::F32, {1, 64}}}, [](Builder& b, const Values& in) {
    Value* w = b.constant("w", random_weight({DType::F32, {64, 64}}, 1));
    Value* x = in[0];
    for (int i = 0; i < 20; ++i) x = b.softmax(b.linear(x, w, nullptr), -1);
    return Values{x};
  });
  const auto executable = Executable::compile(*function).value();
  const Tensor x = random_floats({1, 64}, 2);
  const auto expected = run(*function, {x}).outputs[0].data;
  std::vector<std::vector<std::byte>> results(4, std::vector<std::byte>(256));
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&executable, &x, out = result.data()] {
      ThreadPool pool(2);
      auto execution = Execution::create(executable).value();
      for (int i = 0; i < 10; ++i) {
        if (!execution->bind_input(0, x.data.data(), x.type) ||
            !execution->bind_output(0, out, x.type) || !execution->run(pool)) {
          std::memset(out, 0, 256);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

// --- Numerics ---

TEST(Typed, EveryResultIsRoundedToItsType) {
  // (x * x) * x in fp16: two roundings; precise has one, at the output.
  std::vector<float> xs;
  for (int i = 0; i < 1024; ++i) xs.push_back(1.0f + static_cast<float>(i) / 1024);
  const Tensor x = floats({1024}, xs, DType::F16);
  const Body cube = [](Builder& b, const Values& in) {
    return Values{b.mul(b.mul(in[0], in[0]), in[0])};
  };
  const auto literal = evaluate({x}, cube, typed()).floats(), fp32 = evaluate({x}, cube).floats();
  bool differ = false;
  for (size_t i = 0; i < xs.size(); ++i) {
    const float v = xs[i];
    EXPECT_EQ(literal[i], round_to_half(round_to_half(v * v) * v));
    EXPECT_EQ(fp32[i], round_to_half(v * v * v));
    differ |= literal[i] != fp32[i];
  }
  EXPECT_TRUE(differ);
}

TEST(Typed, SubnormalHalvesAreKept) {
  const Tensor x = floats({2}, {0x1p-20f, 0x1p-24f}, DType::F16);
  const auto half = evaluate(
                        {x},
                        [](Builder& b, const Values& in) {
                          return Values{b.mul(in[0], b.float_scalar(DType::F16, 0.5))};
                        },
                        typed())
                        .floats();
  EXPECT_THAT(half, ElementsAre(0x1p-21f, 0.0f));  // 2^-25 is a tie and goes to even
}

TEST(Typed, OverflowsAreCountedAndTheFirstIsNamed) {
  const Tensor x = floats({4}, {300, 1, -300, kInf}, DType::F16);
  const auto function = build({x.type}, [](Builder& b, const Values& in) {
    Value* square = b.op("mul", {{"x", {in[0]}}, {"y", {in[0]}}}, "squared");
    Value* weight = b.constant("layers_3_norm", constant_floats(DType::F16, {4}, {1, 1, 1, 1}));
    return Values{b.mul(b.mul(square, b.float_scalar(DType::F16, 2)), weight)};
  });
  const auto outcome = run(*function, {x}, typed());
  EXPECT_EQ(outcome.overflows.count, 2u);  // an infinity that comes in, or is passed on, is none
  EXPECT_EQ(outcome.overflows.first_op, "mul 'squared'");
  EXPECT_EQ(outcome.overflows.near_weight, "layers_3_norm");
  EXPECT_THAT(outcome.outputs[0].floats(), ElementsAre(kInf, 2, kInf, kInf));
}

TEST(Typed, OverflowsInsideWeightsAreCounted) {
  const auto function = build({{DType::F16, {1, 2}}}, [](Builder& b, const Values& in) {
    Value* w =
        b.op("constexpr_blockwise_shift_scale",
             {{"data", {b.constant("d", constant_ints(DType::Int8, {2, 2}, {1, 2, 3, 4}))}},
              {"scale", {b.constant("s", constant_floats(DType::F16, {2, 1}, {30000, 1}))}}});
    return Values{b.linear(in[0], w, nullptr)};
  });
  const auto outcome = run(*function, {floats({1, 2}, {0.5f, 0.5f}, DType::F16)}, typed());
  EXPECT_EQ(outcome.overflows.count, 0u);  // 60000 still fits
  const auto more = build({{DType::F16, {1, 2}}}, [](Builder& b, const Values& in) {
    Value* w =
        b.op("constexpr_blockwise_shift_scale",
             {{"data", {b.constant("d", constant_ints(DType::Int8, {2, 2}, {1, 3, 3, 4}))}},
              {"scale", {b.constant("s", constant_floats(DType::F16, {2, 1}, {30000, 1}))}}});
    return Values{b.linear(in[0], w, nullptr)};
  });
  EXPECT_EQ(run(*more, {floats({1, 2}, {0.5f, 0.5f}, DType::F16)}, typed()).overflows.count, 1u);
}

TEST(Precise, FloatsAreNotRoundedBetweenOperations) {
  // 300² overflows fp16, but only on the way.
  const Tensor x = floats({1}, {300}, DType::F16);
  const Body body = [](Builder& b, const Values& in) {
    return Values{b.unary("sqrt", b.mul(in[0], in[0]))};
  };
  EXPECT_EQ(evaluate({x}, body).floats()[0], 300);
  EXPECT_EQ(evaluate({x}, body, typed()).floats()[0], kInf);
}

TEST(Precise, OverflowsAtOutputsAreCounted) {
  const Tensor x = floats({2}, {300, 1}, DType::F16);
  const auto function = build({x.type}, [](Builder& b, const Values& in) {
    return Values{b.op("mul", {{"x", {in[0]}}, {"y", {in[0]}}}, "squared")};
  });
  const auto outcome = run(*function, {x});
  EXPECT_EQ(outcome.overflows.count, 1u);
  EXPECT_EQ(outcome.overflows.first_op, "output 'squared'");
}

TEST(Precise, WidePortsPassHalvesAsFloats) {
  RunOptions wide;
  wide.executable.wide_ports = true;
  const auto function =
      build({{DType::F16, {2}}, {DType::Int32, {1}}}, [](Builder& b, const Values& in) {
        Value* both = b.concat({in[0], in[0]}, 0);
        return Values{both, b.mul(in[0], in[0]), in[1]};
      });
  const Tensor x = floats({2}, {1000.1f, 0.1f});
  for (const bool misaligned : {false, true}) {
    const auto outcome = run(*function, {x, ints({1}, {7})}, wide, misaligned);
    EXPECT_THAT(outcome.outputs[0].floats(), ElementsAre(1000.1f, 0.1f, 1000.1f, 0.1f));
    EXPECT_THAT(outcome.outputs[1].floats(), ElementsAre(1000.1f * 1000.1f, 0.1f * 0.1f));
    EXPECT_THAT(outcome.outputs[2].ints(), ElementsAre(7));
    EXPECT_EQ(outcome.overflows.count, 0u);
  }
  wide.executable.numerics = Numerics::Typed;  // has no effect there
  EXPECT_EQ(Executable::compile(*function, wide.executable).value()->inputs()[0].type.dtype,
            DType::F16);
}

// An attention layer's arithmetic, with T rows of queries over S columns of keys.
Body attention(int64_t t, int64_t s) {
  return [t, s](Builder& b, const Values& in) {
    Value* w = b.constant("w", random_weight({DType::F16, {96, 96}}, 3));
    Value* gain = b.constant("gain", random_weight({DType::F16, {96}}, 4));
    Value* mean = b.reduce_mean(b.mul(in[0], in[0]), {-1}, true);
    Value* norm =
        b.mul(b.mul(in[0], b.rsqrt(b.add(mean, b.float_scalar(DType::F16, 1e-5)), 1e-12)), gain);
    Value* q = b.transpose(b.reshape(b.linear(norm, w, nullptr), {1, t, 6, 16}), {0, 2, 1, 3});
    Value* even = b.slice_by_index(q, {0, 0, 0, 0}, {1, 1, 1, 1}, {1, 1, 1, 2}, {1, 1, 1, 1});
    Value* odd = b.slice_by_index(q, {0, 0, 0, 1}, {1, 1, 1, 1}, {1, 1, 1, 2}, {1, 1, 1, 1});
    Value* turned = b.reshape(b.stack({odd, even}, -1), {3, 2, t, 16});
    Value* k = b.reshape(in[1], {3, 1, s, 16});
    Value* p = b.mul(b.matmul(turned, k, false, true), b.float_scalar(DType::F16, 0.25));
    p = b.softmax(b.add(b.reshape(p, {1, 6, t, s}), in[2]), -1);
    Value* o = b.matmul(b.reshape(p, {3, 2, t, s}), k, false, false);
    o = b.reshape(b.transpose(b.reshape(o, {1, 6, t, 16}), {0, 2, 1, 3}), {1, t, -1});
    return Values{b.add(in[0], b.linear(b.mul(b.silu(o), o), w, nullptr))};
  };
}

TEST(Numerics, ARowDependsNeitherOnOtherRowsNorOnThreads) {
  const int64_t t = 7, s = 53;
  const Tensor x = random_floats({1, t, 96}, 5, DType::F16);
  const Tensor keys = random_floats({1, 3, s, 16}, 6, DType::F16);
  std::vector<float> visible(static_cast<size_t>(t * s));
  for (size_t i = 0; i < visible.size(); ++i) visible[i] = i % 3 == 0 ? -kInf : 0;
  const Tensor mask = floats({1, t, s}, visible, DType::F16);
  const auto part = [](const Tensor& tensor, int64_t row, int64_t width) {
    return part_of(tensor, row * width, {1, 1, width});
  };
  for (const RunOptions& numerics : {RunOptions{}, typed()}) {
    const Tensor all = evaluate({x, keys, mask}, attention(t, s), numerics);
    RunOptions threads = numerics;
    threads.threads = 3;
    EXPECT_EQ(evaluate({x, keys, mask}, attention(t, s), threads).data, all.data);
    for (int64_t row = 0; row < t; ++row) {
      const Tensor alone =
          evaluate({part(x, row, 96), keys, part(mask, row, s)}, attention(1, s), threads);
      EXPECT_EQ(alone.data, part(all, row, 96).data) << row;
    }
  }
}

// The first rows come out as ever, and the others are no work.
TEST(Execution, ComputesTheFirstRowsAlone) {
  const int64_t t = 7, s = 53;
  const Tensor x = random_floats({1, t, 96}, 5, DType::F16);
  const Tensor keys = random_floats({1, 3, s, 16}, 6, DType::F16);
  const Tensor mask = random_floats({1, t, s}, 7, DType::F16);
  const auto function = build({x.type, keys.type, mask.type}, attention(t, s));
  for (const Numerics numerics : {Numerics::Typed, Numerics::Precise, Numerics::Fast}) {
    ExecutableOptions options;
    options.numerics = numerics;
    options.token_axes = {1};
    const Tensor all = evaluate({x, keys, mask}, attention(t, s), {options, 1});
    auto execution = Execution::create(Executable::compile(*function, options).value()).value();
    Tensor y = all;
    for (const size_t i : {0, 1, 2}) {
      const Tensor& input = i == 0 ? x : i == 1 ? keys : mask;
      ASSERT_TRUE(execution->bind_input(i, input.data.data(), input.type));
    }
    ASSERT_TRUE(execution->bind_output(0, y.data.data(), y.type));
    ThreadPool pool(2);
    for (int64_t live = 1; live <= t; ++live) {
      std::fill(y.data.begin(), y.data.end(), std::byte{1});
      execution->limit_tokens(live);
      ASSERT_TRUE(execution->run(pool));
      const Shape first{1, live, 96};
      EXPECT_EQ(part_of(y, 0, first).data, part_of(all, 0, first).data) << live;
      EXPECT_EQ(y.data == all.data, live == t);
    }
  }
}

// A program that comes as text is checked like one that comes from a file.
TEST(Compile, RunsAProgramGivenAsText) {
  const auto program = mil::parse(R"(func @main(%x: fp32[2,2]) opset "CoreML8" {
    %m: fp32[2,2] = mul(x=%x, y=%x)
    %r: fp32[2] = reduce_sum(x=%m, axes=int32[1](1), keep_dims=bool(false))
    return %r
  })");
  ASSERT_TRUE(program) << program.error().to_string();
  const auto outcome = run(*program->functions[0], {floats({2, 2}, {1, 2, 3, 4})});
  EXPECT_THAT(outcome.outputs[0].floats(), ElementsAre(5, 25));
}

}  // namespace
}  // namespace diptych::engine
