// Quantisation of fp16 weights, from reading the source to packed codes and scales, on one thread.
#include <utility>

#include "bench.h"
#include "quant/quantize.h"

namespace diptych::bench {
namespace {

constexpr int64_t kRows = 2048, kColumns = 2048;

// Reads codes and then scales, as a writer does.
Status quantize_once(const WeightRef& source, const quant::Format& format) {
  const quant::QuantizedWeight quantized = TRY(quant::quantize(source, {format}, "weight"));
  benchmark::DoNotOptimize(TRY(read_all(*packed_source(quantized.codes))).data());
  benchmark::DoNotOptimize(TRY(read_all(*packed_source(quantized.scales))).data());
  return {};
}

void bench_quantize(benchmark::State& state, const quant::Format& format) {
  const auto source = random_in_memory({DType::F16, {kRows, kColumns}});
  if (failed(state, source)) return;
  for (auto _ : state) {
    if (failed(state, quantize_once(*source, format))) return;
  }
  state.counters["fp16_bytes"] = rate(kRows * kColumns * sizeof(uint16_t));
}

void register_all() {
  const std::pair<const char*, quant::Format> modes[] = {
      {"quantize/c4w", {4, 0}}, {"quantize/b4w", {4, 32}}, {"quantize/8,0", {8, 0}}};
  for (const auto& [name, format] : modes) {
    benchmark::RegisterBenchmark(name, bench_quantize, format)->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace diptych::bench

int main(int argc, char** argv) {
  diptych::bench::register_all();
  return diptych::bench::run(argc, argv);
}
