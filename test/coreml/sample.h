// A small program with every way to store a constant, for tests and fuzz seeds.
#pragma once

#include <map>
#include <string>

#include "mil/builder.h"

namespace diptych::coreml::testing {

// Weights that functions share.
struct SampleWeights {
  WeightRef data = random_weight({DType::Int4, {16, 32}}, 1);
  WeightRef scale = random_weight({DType::F16, {16, 1}}, 2);
  WeightRef bias = zeros({DType::F16, {16}});
  WeightRef odd = random_weight({DType::Int4, {3, 5}}, 3);  // half a byte is left over
};

// linear(x, int4 weight, bias) and the odd weight times a scalar, for `rows` rows of x.
inline Result<std::unique_ptr<mil::Function>> sample_function(const std::string& name, int64_t rows,
                                                              const SampleWeights& weights) {
  mil::Builder b(std::make_unique<mil::Function>(name));
  mil::Value* x = b.input("x", {DType::F16, {1, rows, 32}});
  mil::Value* index = b.input("index", {DType::Int32, {1}});
  mil::Value* weight = b.op("constexpr_blockwise_shift_scale",
                            {{"data", {b.constant("weight_data", weights.data)}},
                             {"scale", {b.constant("weight_scale", weights.scale)}}},
                            "weight");
  mil::Value* y = b.linear(x, weight, b.constant("bias", weights.bias));
  mil::Value* odd =
      b.op("constexpr_blockwise_shift_scale",
           {{"data", {b.constant("odd_data", weights.odd)}},
            {"scale", {b.constant("odd_scale", constant_floats(DType::F16, {3, 1}, {1, 2, 0.5}))}}},
           "odd");
  mil::Value* scaled = b.mul(odd, b.float_scalar(DType::F16, 0.1));
  mil::Value* truth = b.op("greater_equal", {{"x", {index}}, {"y", {b.int_scalar(0)}}});
  mil::Value* flag = b.cast(truth, DType::Int32);
  return b.finish({y, b.concat({scaled}, -1), flag});
}

inline Result<mil::Program> sample_program(const std::map<std::string, int64_t>& rows_of_function) {
  const SampleWeights weights;
  mil::Program program;
  for (const auto& [name, rows] : rows_of_function) {
    program.functions.push_back(TRY(sample_function(name, rows, weights)));
  }
  return program;
}

}  // namespace diptych::coreml::testing
