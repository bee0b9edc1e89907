// Functions of the engine as micro-benchmarks.
#pragma once

#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "bench.h"
#include "engine/executable.h"

namespace diptych::bench {

// Runs a function of one input and one result in fp32 on one thread, again and again. Ends the
// benchmark with an error, and returns false, where there is one.
inline bool run_again(benchmark::State& state,
                      const Result<std::unique_ptr<engine::Execution>>& execution, Shape x_shape,
                      Shape y_shape) {
  if (failed(state, execution)) return false;
  const TensorType x_type{DType::F32, std::move(x_shape)}, y_type{DType::F32, std::move(y_shape)};
  const std::vector<float> x(element_count(x_type.shape).value_or(0), 0.5f);
  std::vector<float> y(element_count(y_type.shape).value_or(0));
  auto& e = **execution;
  if (failed(state, e.bind_input(0, x.data(), x_type)) ||
      failed(state, e.bind_output(0, y.data(), y_type))) {
    return false;
  }
  ThreadPool pool(1);
  for (auto _ : state) {
    if (failed(state, e.run(pool))) return false;
  }
  return true;
}

}  // namespace diptych::bench
