// What a call must read and compute, by functions small enough to count by hand.
#include "generate/method_cost.h"

#include <gtest/gtest.h>

#include "mil/builder.h"
#include "testing/shared_data.h"

namespace diptych::generate {
namespace {

constexpr int64_t kVocab = 64, kWidth = 8;

// A weight file of zeros, from which weights are taken one after the other.
class WeightFile {
 public:
  WeightRef take(TensorType type) {
    const uint64_t size = packed_size(type).value();
    const Bytes slice = Bytes(bytes_).subspan(used_, size);
    used_ += size;
    return mapped_weight(std::move(type), slice, nullptr).value();
  }
  Bytes bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(1 << 16);
  uint64_t used_ = 0;
};

// An int8 table with fp16 scales, one for each row.
struct Table {
  WeightRef data, scale;
  explicit Table(WeightFile& file)
      : data(file.take({DType::Int8, {kVocab, kWidth}})),
        scale(file.take({DType::F16, {kVocab, 1}})) {}

  mil::Value* dequantised(mil::Builder& b) const {
    return b.op("constexpr_blockwise_shift_scale",
                {{"data", {b.constant("data", data)}}, {"scale", {b.constant("scale", scale)}}});
  }
};

constexpr uint64_t kRowBytes = kWidth + 2;

std::unique_ptr<mil::Function> lookup(const Table& table, int64_t tokens) {
  mil::Builder b(std::make_unique<mil::Function>("lookup"));
  mil::Value* ids = b.input("ids", {DType::Int32, {1, tokens}});
  return b.finish({b.gather(table.dequantised(b), ids, 0)}).value();
}

std::unique_ptr<mil::Function> head(const Table& table, int64_t rows) {
  mil::Builder b(std::make_unique<mil::Function>("head"));
  mil::Value* x = b.input("x", {DType::F16, {1, rows, kWidth}});
  return b.finish({b.linear(x, table.dequantised(b), nullptr)}).value();
}

// Of functions whose first inputs have tokens along axis 1, in fast numerics.
MethodCost cost_of_all(const std::vector<const mil::Function*>& functions) {
  std::vector<std::shared_ptr<const engine::Executable>> compiled;
  std::vector<const engine::Executable*> executables;
  for (const mil::Function* function : functions) {
    engine::ExecutableOptions options;
    options.numerics = engine::Numerics::Fast;
    options.token_axes = {1};
    compiled.push_back(engine::Executable::compile(*function, options).value());
    executables.push_back(compiled.back().get());
  }
  return cost_of(executables);
}

TEST(Cost, OfAGatherIsTheRows) {
  WeightFile file;
  const Table table(file);
  const auto function = lookup(table, 3);
  const MethodCost cost = cost_of_all({function.get()});
  EXPECT_EQ(cost.weight_bytes, 3 * kRowBytes);
  EXPECT_EQ(kernels::sum(cost.per_token) + kernels::sum(cost.per_call), 0U);
  // Never more than all of them.
  const auto long_function = lookup(table, 2 * kVocab);
  EXPECT_EQ(cost_of_all({long_function.get()}).weight_bytes, kVocab * kRowBytes);
}

TEST(Cost, OfALinearIsTheWholeWeight) {
  WeightFile file;
  const Table table(file);
  const auto function = head(table, 5);
  const MethodCost cost = cost_of_all({function.get()});
  EXPECT_EQ(cost.weight_bytes, kVocab * kRowBytes);
  EXPECT_EQ(cost.per_token.int8, kVocab * kWidth);
  EXPECT_EQ(kernels::sum(cost.per_token), kVocab * kWidth);
  EXPECT_EQ(kernels::sum(cost.per_call), 0U);
}

// A linear of 5 rows and then, of the last row only, a head.
TEST(Cost, OfAHeadIsOncePerCall) {
  WeightFile file;
  const WeightRef square = file.take({DType::F32, {kWidth, kWidth}});
  const Table table(file);
  mil::Builder b(std::make_unique<mil::Function>("model"));
  mil::Value* x = b.input("x", {DType::F32, {1, 5, kWidth}});
  mil::Value* last = b.input("last", {DType::Int32, {1}});
  mil::Value* y = b.cast(b.linear(x, b.constant("square", square), nullptr), DType::F16);
  const auto function =
      b.finish({b.linear(b.gather(y, last, 1), table.dequantised(b), nullptr)}).value();
  const MethodCost cost = cost_of_all({function.get()});
  EXPECT_EQ(cost.per_token.fp32, kWidth * kWidth);
  EXPECT_EQ(cost.per_call.int8, kVocab * kWidth);
}

TEST(Cost, CountsASharedWeightOnce) {
  WeightFile file;
  const Table table(file), other(file);
  const auto first = lookup(table, 1), second = head(table, 1), third = head(table, 1),
             fourth = head(other, 1);
  const MethodCost tied = cost_of_all({first.get(), second.get(), third.get()});
  EXPECT_EQ(tied.weight_bytes, kVocab * kRowBytes);
  EXPECT_EQ(tied.per_token.int8, uint64_t{2} * kVocab * kWidth);
  const MethodCost untied = cost_of_all({first.get(), fourth.get()});
  EXPECT_EQ(untied.weight_bytes, (1 + kVocab) * kRowBytes);
}

TEST(Cost, OfPositionsInTheCache) {
  contract::Description model;
  model.classes = {{64, {}}, {8, 8}};
  model.class_of_layer = {0, 1, 0};
  model.kv_heads = 2;
  model.head_dim = 16;
  model.dtype = DType::F16;
  EXPECT_EQ(cache_bytes_seen(model, 1), 2U * 3 * 2 * 16 * 2);
  EXPECT_EQ(cache_bytes_seen(model, 50), 2U * (50 + 7 + 50) * 2 * 16 * 2);
  model.dtype = DType::F32;
  EXPECT_EQ(cache_bytes_seen(model, 1), 2U * 3 * 2 * 16 * 4);
}

}  // namespace
}  // namespace diptych::generate
