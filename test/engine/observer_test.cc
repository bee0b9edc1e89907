// What a run tells an observer, and what the steps say of themselves.
#include <gmock/gmock.h>

#include "engine_test_util.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using ::testing::ElementsAre;
using Values = std::vector<Value*>;

class Recorder : public RunObserver {
 public:
  void on_step(const Executable& executable, size_t index, Time begin, Time end) override {
    EXPECT_LE(last_, begin);
    EXPECT_LE(begin, end);
    last_ = end;
    executables.push_back(&executable);
    steps.push_back(index);
  }
  std::vector<const Executable*> executables;
  std::vector<size_t> steps;

 private:
  Time last_;
};

constexpr int64_t kRows = 3, kWidth = 64;

// Two layers of a norm's weight and a linear, and what is outside of them.
std::unique_ptr<mil::Function> two_layers() {
  return build({{DType::F32, {kRows, kWidth}}}, [](Builder& b, const Values& in) {
    const Tensor square = random_floats({kWidth, kWidth}, 1), scale = random_floats({kWidth}, 2);
    const auto constant = [&](const char* name, const Tensor& tensor) {
      return b.constant(name, shifted_weight(tensor, 0));
    };
    Value* y = b.add(in[0], in[0]);
    y = b.mul(y, constant("p_layers_0_attention_norm_weight", scale));
    y = b.linear(y, constant("some_weight", square), nullptr);
    y = b.mul(y, constant("layers_12_ffn_norm_weight", scale));
    y = b.linear(y, constant("layers_12_w2", square), nullptr);
    y = b.add(y, y);
    return Values{b.mul(y, constant("norm_weight", scale))};
  });
}

TEST(Observer, IsToldOfEveryStepAndTheOutputs) {
  ExecutableOptions options;
  options.fuse = false;
  const auto executable = Executable::compile(*two_layers(), options);
  ASSERT_TRUE(executable);
  auto execution = Execution::create(*executable);
  ASSERT_TRUE(execution);
  const Tensor x = random_floats({kRows, kWidth}, 3);
  Tensor y = x;
  ASSERT_TRUE((*execution)->bind_input(0, x.data.data(), x.type));
  ASSERT_TRUE((*execution)->bind_output(0, y.data.data(), y.type));
  ThreadPool pool(1);
  Recorder recorder;
  ASSERT_TRUE((*execution)->run(pool, &recorder));
  ASSERT_EQ(recorder.steps.size(), (*executable)->step_count() + 1);
  for (size_t i = 0; i < recorder.steps.size(); ++i) {
    EXPECT_EQ(recorder.steps[i], i);
    EXPECT_EQ(recorder.executables[i], executable->get());
  }
  ASSERT_TRUE((*execution)->run(pool));
  EXPECT_EQ(recorder.steps.size(), (*executable)->step_count() + 1);
}

TEST(Observer, StepsTellOperationLayerAndWork) {
  for (const bool fuse : {false, true}) {
    ExecutableOptions options;
    options.fuse = fuse;
    const auto executable = Executable::compile(*two_layers(), options);
    ASSERT_TRUE(executable);
    std::vector<std::string> ops;
    std::vector<int> layers;
    uint64_t multiply_adds = 0, weight_bytes = 0;
    for (size_t i = 0; i < (*executable)->step_count(); ++i) {
      const StepInfo step = (*executable)->step(i);
      if (step.op == "input") continue;
      ops.emplace_back(step.op);
      layers.push_back(step.work.layer);
      multiply_adds += step.work.multiply_adds();
      weight_bytes += step.work.weight_bytes();
      EXPECT_FALSE(step.name.empty());
    }
    const std::string linear = fuse ? "cpu.linear" : "linear";
    EXPECT_THAT(ops, ElementsAre("add", "mul", linear, "mul", linear, "add", "mul"));
    EXPECT_THAT(layers, ElementsAre(-1, 0, 0, 12, 12, 12, -1));
    EXPECT_EQ(multiply_adds, 2U * kRows * kWidth * kWidth);
    EXPECT_EQ(weight_bytes, (2U * kWidth * kWidth + 3U * kWidth) * 4);
  }
}

}  // namespace
}  // namespace diptych::engine
