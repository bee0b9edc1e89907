// What the micro-benchmarks share.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/isa.h"
#include "tensor/weight.h"

namespace diptych::bench {

// A counter of bytes or operations per second: `amount` is that of one iteration.
inline benchmark::Counter rate(uint64_t amount) {
  return {static_cast<double>(amount), benchmark::Counter::kIsIterationInvariantRate};
}

// Counts `amount` of an iteration per second, and what part that is of `limit`, what the machine
// can do per second, in percent.
inline void report(benchmark::State& state, const char* name, uint64_t amount, double limit) {
  state.counters[name] = rate(amount);
  state.counters["%limit"] = {100 * static_cast<double>(amount) / limit,
                              benchmark::Counter::kIsIterationInvariantRate};
}

// Ends the benchmark with an error; false when there is none.
template <class T>
bool failed(benchmark::State& state, const Result<T>& result) {
  if (!result) state.SkipWithError(result.error().to_string().c_str());
  return !result;
}

// A weight of random values that lies in memory, as those of a mapped file do.
inline Result<WeightRef> random_in_memory(TensorType type) {
  const WeightRef generated = random_weight(type, 1);
  return memory_weight(std::move(type), TRY(read_all(*packed_source(generated))));
}

// Runs the benchmarks that were registered, each for 0.2 s unless the command line says otherwise:
// short enough to run them all after every change. DIPTYCH_ISA holds. Returns the exit status.
inline int run(int argc, char** argv) {
  kernels::selected_isa();
  std::string min_time = "--benchmark_min_time=0.2";
  std::vector<char*> args(argv, argv + argc);
  args.insert(args.begin() + 1, min_time.data());
  argc = static_cast<int>(args.size());
  args.push_back(nullptr);
  benchmark::Initialize(&argc, args.data());
  if (benchmark::ReportUnrecognizedArguments(argc, args.data())) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace diptych::bench
