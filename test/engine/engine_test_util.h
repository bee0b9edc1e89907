// Runs small functions through the engine.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "engine/executable.h"
#include "mil/builder.h"
#include "tensor/weight.h"

namespace diptych::engine {

// Packed elements of a type.
struct Tensor {
  TensorType type;
  std::vector<std::byte> data;

  std::vector<float> floats() const;
  std::vector<int64_t> ints() const;
};

Tensor floats(Shape shape, const std::vector<float>& values, DType dtype = DType::F32);
Tensor ints(Shape shape, const std::vector<int64_t>& values, DType dtype = DType::Int32);
// Seeded values, normally distributed.
Tensor random_floats(Shape shape, uint32_t seed, DType dtype = DType::F32, float scale = 1);
std::vector<float> random_values(size_t count, uint32_t seed, float scale = 1);

// Elements [first, first + count of `shape`) of an fp16 or fp32 tensor, as a tensor of that shape.
Tensor part_of(const Tensor& tensor, int64_t first, Shape shape);

// A weight whose packed bytes begin `shift` bytes into a larger buffer.
WeightRef shifted_weight(const Tensor& tensor, size_t shift);
// A weight that has no bytes() and can only be read by rows.
WeightRef streamed_weight(WeightRef source);

struct RunOptions {
  ExecutableOptions executable;
  int threads = 1;
};
struct Outcome {
  std::vector<Tensor> outputs;
  Overflows overflows;
};

// Compiles and runs once, binding every buffer at an odd address when `misaligned`.
Result<Outcome> try_run(const mil::Function& function, const std::vector<Tensor>& inputs,
                        const RunOptions& options = {}, bool misaligned = false);
// The same, for runs that must succeed.
Outcome run(const mil::Function& function, const std::vector<Tensor>& inputs,
            const RunOptions& options = {}, bool misaligned = false);

// Builds a function: `body` is given the input values and returns the outputs.
using Body =
    std::function<std::vector<mil::Value*>(mil::Builder&, const std::vector<mil::Value*>&)>;
std::unique_ptr<mil::Function> build(const std::vector<TensorType>& inputs, const Body& body);

// Builds and runs a function of one output.
Tensor evaluate(const std::vector<Tensor>& inputs, const Body& body,
                const RunOptions& options = {});

inline RunOptions typed() {
  RunOptions options;
  options.executable.numerics = Numerics::Typed;
  return options;
}

}  // namespace diptych::engine
