// What steps say of their work: arithmetic, multiply-adds and bytes of small programs, counted by
// hand.
#include "engine/step_work.h"

#include <gmock/gmock.h>

#include "engine_test_util.h"
#include "kernels/bf16.h"
#include "kernels/isa.h"

namespace diptych::engine {
namespace {

using kernels::Arithmetic;
using mil::Builder;
using mil::Value;
using Values = std::vector<Value*>;

constexpr int64_t kTokens = 5, kColumns = 64, kRows = 12;
constexpr int64_t kManyRows = 8192;  // worth products in bf16
const TensorType kX{DType::F16, {1, kTokens, kColumns}};

// A weight of integers with a scale for each `block` columns.
Value* integers(Builder& b, DType dtype, int64_t rows, int64_t columns, int64_t block) {
  Value* data = b.constant("data", random_weight({dtype, {rows, columns}}, 1));
  Value* scale = b.constant("scale", random_weight({DType::F16, {rows, columns / block}}, 2));
  return b.op("constexpr_blockwise_shift_scale", {{"data", {data}}, {"scale", {scale}}});
}

// The same with bytes in memory, as those of a file have.
WeightRef in_memory(TensorType type) {
  return memory_weight(type, std::vector<std::byte>(packed_size(type).value())).value();
}
Value* stored_integers(Builder& b, DType dtype, int64_t rows, int64_t columns, int64_t block) {
  Value* data = b.constant("data", in_memory({dtype, {rows, columns}}));
  Value* scale = b.constant("scale", in_memory({DType::F16, {rows, columns / block}}));
  return b.op("constexpr_blockwise_shift_scale", {{"data", {data}}, {"scale", {scale}}});
}

std::vector<StepInfo> steps_of(const Executable& executable) {
  std::vector<StepInfo> steps;
  for (size_t i = 0; i < executable.step_count(); ++i) steps.push_back(executable.step(i));
  return steps;
}

// The one step that multiplies.
StepWork linear_work(const Executable& executable) {
  StepWork work;
  int linears = 0;
  for (const StepInfo& step : steps_of(executable)) {
    if (step.work.multiply_adds() == 0) continue;
    EXPECT_EQ(step.op, "cpu.linear");
    work = step.work;
    ++linears;
  }
  EXPECT_EQ(linears, 1);
  return work;
}

std::shared_ptr<const Executable> compile(const std::vector<TensorType>& inputs, const Body& body,
                                          Numerics numerics = Numerics::Fast) {
  ExecutableOptions options;
  options.numerics = numerics;
  options.token_axes = {1};
  return Executable::compile(*build(inputs, body), options).value();
}

TEST(StepWork, OfALinearIsItsArithmeticAndItsBytes) {
  const bool has_bf16 = kernels::has_bf16(kernels::selected_isa());
  struct Case {
    const char* name;
    std::function<Value*(Builder&)> weight;
    Arithmetic fast;
    uint64_t bytes;
    int64_t rows = kRows;
  };
  const Case cases[] = {
      {"int4, a scale a row",
       [](Builder& b) { return stored_integers(b, DType::Int4, kRows, kColumns, kColumns); },
       Arithmetic::Int4, kRows * (kColumns / 2 + 2)},
      {"int4, blocks of 32",
       [](Builder& b) { return stored_integers(b, DType::Int4, kRows, kColumns, 32); },
       Arithmetic::Int4, kRows * (kColumns / 2 + 2 * 2)},
      {"int8",
       [](Builder& b) { return stored_integers(b, DType::Int8, kRows, kColumns, kColumns); },
       Arithmetic::Int8, kRows * (kColumns + 2)},
      {"int8, blocks of 16",
       [](Builder& b) { return stored_integers(b, DType::Int8, kRows, kColumns, 16); },
       Arithmetic::Int8, kRows * (kColumns + 4 * 2)},
      {"int8, blocks too small for dot products",
       [](Builder& b) { return stored_integers(b, DType::Int8, kRows, kColumns, 8); },
       Arithmetic::Fp32, kRows * (kColumns + 8 * 2)},
      {"int4 that lie nowhere",
       [](Builder& b) { return integers(b, DType::Int4, kRows, kColumns, kColumns); },
       Arithmetic::Fp32, kRows * (kColumns / 2 + 2)},
      {"fp16",
       [](Builder& b) {
         return b.constant("w", in_memory({DType::F16, {kRows, kColumns}}));
       },
       Arithmetic::Fp32, kRows * kColumns * 2},
      {"fp16, many",
       [](Builder& b) {
         return b.constant("w", in_memory({DType::F16, {kManyRows, kColumns}}));
       },
       has_bf16 ? Arithmetic::Bf16 : Arithmetic::Fp32, kManyRows * kColumns * 2, kManyRows},
      {"fp32",
       [](Builder& b) {
         return b.constant("w", in_memory({DType::F32, {kRows, kColumns}}));
       },
       Arithmetic::Fp32, kRows * kColumns * 4},
  };
  for (const Case& each : cases) {
    const TensorType x{std::string_view(each.name) == "fp32" ? DType::F32 : DType::F16, kX.shape};
    for (const Numerics numerics : {Numerics::Precise, Numerics::Fast}) {
      const auto executable = compile(
          {x},
          [&](Builder& b, const Values& in) {
            return Values{b.linear(in[0], each.weight(b), nullptr)};
          },
          numerics);
      const StepWork work = linear_work(*executable);
      kernels::ByArithmetic<uint64_t> expected;
      expected[numerics == Numerics::Fast ? each.fast : Arithmetic::Fp32] =
          static_cast<uint64_t>(each.rows * kColumns);
      EXPECT_EQ(work.row_multiply_adds, expected) << each.name << " " << name(numerics);
      EXPECT_EQ(work.weight_bytes(), each.bytes) << each.name << " " << name(numerics);
      EXPECT_EQ(work.rows.count, kTokens);
      EXPECT_TRUE(work.rows.are_tokens);
      EXPECT_EQ(work.multiply_adds(), static_cast<uint64_t>(kTokens * each.rows * kColumns));
      EXPECT_EQ(work.multiply_adds(2), static_cast<uint64_t>(2 * each.rows * kColumns));
    }
  }
}

// Linears of one x are one step, each with the arithmetic of its weight.
TEST(StepWork, AddsUpTheLinearsOfOneX) {
  const auto executable = compile({kX}, [](Builder& b, const Values& in) {
    return Values{
        b.linear(in[0], stored_integers(b, DType::Int4, kRows, kColumns, kColumns), nullptr),
        b.linear(in[0], stored_integers(b, DType::Int8, 7, kColumns, kColumns), nullptr)};
  });
  const StepWork work = linear_work(*executable);
  EXPECT_EQ(work.row_multiply_adds.int4, uint64_t{kRows} * kColumns);
  EXPECT_EQ(work.row_multiply_adds.int8, uint64_t{7} * kColumns);
  EXPECT_EQ(work.weight_bytes(), uint64_t{kRows} * (kColumns / 2 + 2) + 7 * (kColumns + 2));
}

// A head that sees the last token alone does its work once, however many tokens are live.
TEST(StepWork, OfWhatIsNotOfTokensHasNoLimit) {
  const TensorType last{DType::Int32, {1}};
  const auto executable = compile({kX, last}, [](Builder& b, const Values& in) {
    return Values{b.linear(b.gather(in[0], in[1], 1),
                           stored_integers(b, DType::Int4, kRows, kColumns, kColumns), nullptr)};
  });
  const StepWork work = linear_work(*executable);
  EXPECT_FALSE(work.rows.are_tokens);
  EXPECT_EQ(work.multiply_adds(3), uint64_t{kRows} * kColumns);
}

// Rows of a table for so many ids, a norm's weight as it is stored, and no single numbers.
TEST(StepWork, CountsTheBytesOfOtherWeights) {
  const TensorType ids{DType::Int32, {1, kTokens}};
  const auto bytes_of = [&](int64_t table_rows) {
    const auto executable = compile({ids}, [&](Builder& b, const Values& in) {
      Value* table = stored_integers(b, DType::Int8, table_rows, kColumns, kColumns);
      Value* x = b.gather(table, in[0], 0);
      x = b.mul(x, b.float_scalar(DType::F16, 2));
      return Values{b.mul(x, b.constant("norm", in_memory({DType::F16, {kColumns}})))};
    });
    std::map<std::string, uint64_t> bytes;
    for (const StepInfo& step : steps_of(*executable)) {
      bytes[std::string(step.op)] += step.work.weight_bytes();
    }
    return bytes;
  };
  for (const int64_t rows : {int64_t{100}, kTokens - 2}) {
    const auto bytes = bytes_of(rows);
    EXPECT_EQ(bytes.at("gather"), static_cast<uint64_t>(std::min(rows, kTokens) * (kColumns + 2)));
    EXPECT_EQ(bytes.at("mul"), uint64_t{kColumns} * 2);
  }
}

// Both functions read one weight: its place tells.
TEST(StepWork, NamesAWeightByItsPlace) {
  const WeightRef shared = in_memory({DType::F16, {kRows, kColumns}});
  const auto place_in = [&](Numerics numerics) {
    const auto executable = compile(
        {kX},
        [&](Builder& b, const Values& in) {
          return Values{b.linear(in[0], b.constant("w", shared), nullptr)};
        },
        numerics);
    const StepWork work = linear_work(*executable);
    EXPECT_EQ(work.weights.size(), 1U);
    return work.weights.front().place;
  };
  EXPECT_EQ(place_in(Numerics::Precise), shared->bytes()->data());
  EXPECT_EQ(place_in(Numerics::Fast), shared->bytes()->data());
}

}  // namespace
}  // namespace diptych::engine
