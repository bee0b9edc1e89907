#include "example.h"

#include <algorithm>
#include <cmath>

#include "mil/text.h"
#include "testing/shared_data.h"

namespace diptych::engine {

// The only function of a program: inputs %a, %b, … and one operation.
std::unique_ptr<mil::Function> function_of(const std::vector<Tensor>& inputs,
                                           std::string_view results, std::string_view op,
                                           std::string_view opset) {
  std::string parameters;
  for (size_t i = 0; i < inputs.size(); ++i) {
    parameters += fmt::format("{}%{}: {}", i == 0 ? "" : ", ", static_cast<char>('a' + i),
                              to_string(inputs[i].type));
  }
  size_t count = 0;
  std::string declarations = "%r0: ";
  for (const char c : results) {
    declarations += c == ';' ? fmt::format(", %r{}: ", ++count) : std::string(1, c);
  }
  auto program = mil::parse(fmt::format("func @main({}) opset \"{}\" {{\n{} = {}\nreturn %r0\n}}",
                                        parameters, opset, declarations, op));
  if (!program) {
    ADD_FAILURE() << program.error().to_string();
    return nullptr;
  }
  auto function = std::move(program->functions.front());
  function->outputs = function->ops.back()->results;
  return function;
}

static std::vector<double> numbers(const Tensor& tensor) {
  if (is_float(tensor.type.dtype)) {
    const auto values = tensor.floats();
    return {values.begin(), values.end()};
  }
  const auto values = tensor.ints();
  return {values.begin(), values.end()};
}

void check(const Example& example, std::string_view opset) {
  SCOPED_TRACE(example.op);
  const auto function = function_of(example.inputs, example.result, example.op, opset);
  ASSERT_NE(function, nullptr);
  for (const int threads : {1, 3}) {
    RunOptions options;
    options.threads = threads;
    const auto outcome = try_run(*function, example.inputs, options, threads == 3);
    ASSERT_OK(outcome);
    ASSERT_EQ(outcome->outputs.size(), example.expected.size());
    for (size_t r = 0; r < example.expected.size(); ++r) {
      const auto found = numbers(outcome->outputs[r]);
      ASSERT_EQ(found.size(), example.expected[r].size());
      for (size_t i = 0; i < found.size(); ++i) {
        const double wanted = example.expected[r][i];
        if (std::isnan(wanted)) {
          EXPECT_TRUE(std::isnan(found[i])) << i;
        } else if (std::isinf(wanted)) {
          EXPECT_EQ(found[i], wanted) << i;
        } else {
          EXPECT_NEAR(found[i], wanted, example.tolerance * std::max(1.0, std::abs(wanted))) << i;
        }
      }
    }
  }
}

std::string error_of(const Example& example, std::string_view opset) {
  const auto function = function_of(example.inputs, example.result, example.op, opset);
  if (function == nullptr) return "";
  const auto outcome = try_run(*function, example.inputs);
  return outcome ? "" : outcome.error().to_string();
}

}  // namespace diptych::engine
