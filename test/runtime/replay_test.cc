// Replays recordings of upstream's eager protocol, call by call, through upstream's .pte files.

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/half.h"
#include "base/json.h"
#include "golden_models.h"
#include "runtime/method.h"
#include "runtime/program.h"
#include "tensor/weight.h"
#include "testing/npy.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using testing::GoldenModel;

// Recorded elements in a method's dtype.
std::vector<std::byte> encode(const testing::Array& array, DType dtype) {
  if (is_integer(dtype)) {
    std::vector<std::byte> out;
    for (const int64_t value : array.ints()) {
      const auto* bytes = reinterpret_cast<const std::byte*>(&value);
      out.insert(out.end(), bytes, bytes + bit_width(dtype) / 8);
    }
    return out;
  }
  const auto values = array.floats();
  const WeightRef weight = constant_floats(dtype, array.type.shape, {values.begin(), values.end()});
  const Bytes packed = *weight->bytes();
  return {packed.begin(), packed.end()};
}

std::vector<float> decode(Bytes bytes, const TensorType& type) {
  return read_floats(**mapped_weight(type, bytes, nullptr)).value();
}

class Replay : public ::testing::TestWithParam<GoldenModel> {};

TEST_P(Replay, GivesTheRecordedOutputs) {
  const GoldenModel& golden = GetParam();
  const std::string base = "golden/protocol/" + golden.recording;
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte/" + golden.pte + ".pte");
  if (golden.recording.empty() || golden.input_len != 32)
    GTEST_SKIP() << "no recording for this file";
  const std::string path = testing::shared_data("golden/pte/" + golden.pte + ".pte");
  auto program = runtime::Program::open(path, {engine::Numerics::Precise, 2});
  ASSERT_OK(program);
  const auto arrays = testing::read_npz(testing::shared_data(base + ".npz"));
  ASSERT_OK(arrays);
  const Json recording =
      parse_json(read_text_file(testing::shared_data(base + ".json")).value()).value();

  std::map<std::string, std::unique_ptr<runtime::Method>> methods;
  double worst_logit = 0, worst_cache = 0;
  size_t number = 0;
  for (const Json& call : recording["calls"]) {
    const std::string name = call["method"];
    if (!methods.contains(name)) {
      auto method = (*program)->load_method(name);
      ASSERT_OK(method);
      methods[name] = std::move(*method);
    }
    runtime::Method& method = *methods[name];
    std::vector<std::vector<std::byte>> inputs, outputs;
    for (size_t i = 0; i < method.inputs().size(); ++i) {
      inputs.push_back(
          encode(arrays->at(fmt::format("c{}_in_{}", number, i)), method.inputs()[i].dtype));
      ASSERT_OK(method.bind_input(i, inputs.back()));
    }
    for (size_t i = 0; i < method.outputs().size(); ++i) {
      outputs.emplace_back(packed_size(method.outputs()[i]).value());
      ASSERT_OK(method.bind_output(i, outputs.back()));
    }
    ASSERT_OK(method.execute());
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto found = decode(outputs[i], method.outputs()[i]);
      const auto expected = arrays->at(fmt::format("c{}_out_{}", number, i)).floats();
      ASSERT_EQ(found.size(), expected.size());
      double& worst = i == 0 ? worst_logit : worst_cache;
      for (size_t j = 0; j < found.size(); ++j) {
        const double difference =
            std::abs(static_cast<double>(found[j]) - static_cast<double>(expected[j]));
        ASSERT_TRUE(difference < 1e30) << "call " << number << " output " << i;
        worst = std::max(worst, difference);
      }
    }
    ++number;
  }
  fmt::print("{:<34} {} calls, max difference: logits {:.5f}, keys and values {:.5f}\n", golden.pte,
             number, worst_logit, worst_cache);
  EXPECT_GT(number, 0u);
  EXPECT_LE(worst_logit, golden.fp32 ? 1e-3 : 5e-3);
  EXPECT_LE(worst_cache, golden.fp32 ? 1e-3 : 5e-3);
}

INSTANTIATE_TEST_SUITE_P(Upstream, Replay, ::testing::ValuesIn(testing::golden_models()),
                         [](const auto& test) { return test.param.pte; });

}  // namespace
}  // namespace diptych
