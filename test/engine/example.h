// Operations in the text form against examples worked out by hand.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine_test_util.h"

namespace diptych::engine {

// One operation on inputs called %a, %b, …, and what its results are to be.
struct Example {
  std::string_view result;  // type; several are divided by semicolons
  std::string op;
  std::vector<Tensor> inputs;
  std::vector<std::vector<double>> expected;  // of each result
  double tolerance = 1e-6;
};

// A function of that one operation; null, and a failure, when it does not parse.
std::unique_ptr<mil::Function> function_of(const std::vector<Tensor>& inputs,
                                           std::string_view results, std::string_view op,
                                           std::string_view opset = "CoreML8");
// Runs an example on one thread and, at odd addresses, on three.
void check(const Example& example, std::string_view opset = "CoreML8");
// The error of a run, "" when there is none.
std::string error_of(const Example& example, std::string_view opset = "CoreML8");

}  // namespace diptych::engine
