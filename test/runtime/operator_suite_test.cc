// The programs that stock ExecuTorch delegates to Core ML for its own operator suite, against the
// outputs of PyTorch that are recorded beside them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "runtime/method.h"
#include "runtime/program.h"
#include "testing/npy.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

// The mean of integers, as a program of the suite asks for it, is an integer: the program declares
// so, while PyTorch gives a float.
constexpr std::string_view kOfAnotherType = "mean-mean_output_dtype";

// By how much a result may differ: a part of the largest expected value, for programs compute in
// fp16, and 1 at least.
constexpr double kTolerance = 2e-3;

std::vector<double> numbers(const testing::Array& array) {
  if (is_float(array.type.dtype)) {
    const auto values = array.floats();
    return {values.begin(), values.end()};
  }
  const auto values = array.ints();
  return {values.begin(), values.end()};
}

// "" when `found` agrees with `wanted`.
std::string differences(const testing::Array& found, const testing::Array& wanted) {
  if (found.type.shape != wanted.type.shape) return "shape " + to_string(found.type.shape);
  const std::vector<double> a = numbers(found), b = numbers(wanted);
  double largest = 1;
  for (const double v : b) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    if (std::abs(a[i] - b[i]) <= kTolerance * (largest + std::abs(b[i]))) continue;
    return fmt::format("element {} is {}, expected {}", i, a[i], b[i]);
  }
  return "";
}

// Runs a program on the recorded inputs; what is wrong with it, or "".
std::string replay(const std::string& path, engine::Numerics numerics) {
  auto arrays = testing::read_npz(path.substr(0, path.size() - 4) + ".npz");
  if (!arrays) return arrays.error().to_string();
  auto program = runtime::Program::open(path, {numerics, 1, /*wide_floats=*/false});
  if (!program) return program.error().to_string();
  auto method = (*program)->load_method("forward");
  if (!method) return method.error().to_string();
  for (size_t i = 0; i < (*method)->inputs().size(); ++i) {
    const auto status = (*method)->bind_input(i, arrays->at(fmt::format("in{}", i)).data);
    if (!status) return status.error().to_string();
  }
  std::vector<testing::Array> outputs;
  for (const TensorType& type : (*method)->outputs()) {
    outputs.push_back({type, std::vector<std::byte>(packed_size(type).value())});
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto status = (*method)->bind_output(i, outputs[i].data);
    if (!status) return status.error().to_string();
  }
  if (const Status status = (*method)->execute(); !status) return status.error().to_string();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string found = differences(outputs[i], arrays->at(fmt::format("out{}", i)));
    if (!found.empty()) return fmt::format("output {}: {}", i, found);
  }
  return "";
}

class OperatorSuite : public ::testing::TestWithParam<engine::Numerics> {};

TEST_P(OperatorSuite, AgreesWithPyTorch) {
  DIPTYCH_SKIP_WITHOUT_SHARED("et_ops");
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(testing::shared_data("et_ops"))) {
    if (entry.path().extension() != ".pte" || entry.path().stem() == kOfAnotherType) continue;
    ++count;
    EXPECT_EQ(replay(entry.path().string(), GetParam()), "") << entry.path().stem();
  }
  EXPECT_EQ(count, 384u);
}
INSTANTIATE_TEST_SUITE_P(Numerics, OperatorSuite,
                         ::testing::Values(engine::Numerics::Precise, engine::Numerics::Typed),
                         [](const auto& each) { return std::string(name(each.param)); });

}  // namespace
}  // namespace diptych
