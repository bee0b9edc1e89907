// Linears over stored weights, in the shapes and formats of exported Llamas, beside the rate at
// which memory can be read: decoding (one row) can be no faster than the stream over the weights.
#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "bench.h"
#include "engine/executable.h"
#include "mil/builder.h"

namespace diptych::bench {
namespace {

// One run reads about this many bytes of weights, so that they come from memory and not from the
// caches.
constexpr uint64_t kStreamBytes = uint64_t{64} << 20;

struct Format {
  const char* name;
  DType codes;
  int64_t block;  // columns that share a scale; 0 for the whole row, and for palettes of one table
};
constexpr Format kFormats[] = {{"int4", DType::Int4, 0},      {"int4_block32", DType::Int4, 32},
                               {"int8", DType::Int8, 0},      {"int8_block16", DType::Int8, 16},
                               {"palette4", DType::UInt4, 0}, {"palette6", DType::UInt6, 0},
                               {"palette8", DType::UInt8, 0}, {"fp16", DType::F16, 0}};

struct LinearCase {
  Format format;
  int64_t out, in, rows;
};

// Several linears of one input, with a weight for each, bound and ready to run.
class Linears {
 public:
  static Result<std::unique_ptr<Linears>> create(const LinearCase& c) {
    auto made = std::make_unique<Linears>();
    TRY(made->build(c));
    return made;
  }

  Status run(ThreadPool& pool) { return execution_->run(pool); }
  uint64_t weight_bytes() const { return weight_bytes_; }
  int64_t count() const { return count_; }

 private:
  // The weight of linear number `index`: a slice of `all`, so that the values are made once.
  static Result<WeightRef> slice(const WeightRef& all, int64_t index, int64_t rows) {
    const TensorType type{all->dtype(), {rows, all->shape()[1]}};
    const uint64_t size = TRY(packed_size(type));
    return mapped_weight(type, all->bytes()->subspan(static_cast<uint64_t>(index) * size, size),
                         all);
  }

  static bool is_palette(DType codes) {
    return codes == DType::UInt4 || codes == DType::UInt6 || codes == DType::UInt8;
  }

  Status build(const LinearCase& c) {
    const bool palette = is_palette(c.format.codes),
               quantized = !palette && !is_float(c.format.codes);
    const int64_t blocks = c.format.block == 0 ? 1 : c.in / c.format.block;
    uint64_t bytes = TRY(packed_size({c.format.codes, {c.out, c.in}}));
    if (quantized) bytes += TRY(packed_size({DType::F16, {c.out, blocks}}));
    count_ = static_cast<int64_t>((kStreamBytes + bytes - 1) / bytes);
    weight_bytes_ = static_cast<uint64_t>(count_) * bytes;

    mil::Builder b(std::make_unique<mil::Function>("linears"));
    mil::Value* x = b.input("x", {DType::F16, {1, c.rows, c.in}});
    const WeightRef codes = TRY(random_in_memory({c.format.codes, {count_ * c.out, c.in}}));
    const WeightRef scales = TRY(random_in_memory({DType::F16, {count_ * c.out, blocks}}));
    const TensorType table{DType::F16,
                           {1, 1, int64_t{1} << (palette ? bit_width(c.format.codes) : 0), 1}};
    mil::Value* lut = palette ? b.constant("lut", TRY(random_in_memory(table))) : nullptr;
    std::vector<mil::Value*> outputs;
    for (int64_t i = 0; i < count_; ++i) {
      mil::Value* weight = b.constant("weight", TRY(slice(codes, i, c.out)));
      if (quantized) {
        mil::Value* scale = b.constant("scale", TRY(slice(scales, i, c.out)));
        weight = b.op("constexpr_blockwise_shift_scale", {{"data", {weight}}, {"scale", {scale}}});
      }
      if (palette) {
        weight = b.op("constexpr_lut_to_dense", {{"indices", {weight}}, {"lut", {lut}}});
      }
      outputs.push_back(b.linear(x, weight, nullptr));
    }
    const auto function = TRY(b.finish(std::move(outputs)));
    execution_ = TRY(engine::Execution::create(TRY(engine::Executable::compile(*function))));
    return bind();
  }

  Status bind() {
    const engine::Executable& executable = execution_->executable();
    const TensorType input = executable.inputs()[0].type;
    input_ = TRY(random_in_memory(input));
    TRY(execution_->bind_input(0, input_->bytes()->data(), input));
    for (size_t i = 0; i < executable.outputs().size(); ++i) {
      const TensorType& type = executable.outputs()[i].type;
      outputs_.emplace_back(TRY(packed_size(type)));
      TRY(execution_->bind_output(i, outputs_.back().data(), type));
    }
    return {};
  }

  std::unique_ptr<engine::Execution> execution_;
  WeightRef input_;
  std::vector<std::vector<std::byte>> outputs_;
  uint64_t weight_bytes_ = 0;
  int64_t count_ = 0;
};

void bench_linear(benchmark::State& state, const LinearCase& c, ThreadPool& pool) {
  const auto linears = Linears::create(c);
  if (failed(state, linears)) return;
  for (auto _ : state) {
    if (failed(state, (*linears)->run(pool))) return;
  }
  const auto multiply_adds = static_cast<uint64_t>((*linears)->count() * c.rows * c.out * c.in);
  state.counters["weight_bytes"] = rate((*linears)->weight_bytes());
  state.counters["flop"] = rate(2 * multiply_adds);
}

// All threads sum up one buffer.
void bench_memory_read(benchmark::State& state, ThreadPool& pool) {
  const std::vector<uint64_t> words(kStreamBytes / sizeof(uint64_t), 1);
  for (auto _ : state) {
    pool.parallel_for(static_cast<int64_t>(words.size()), 1 << 15, [&](int64_t begin, int64_t end) {
      benchmark::DoNotOptimize(
          std::accumulate(words.begin() + begin, words.begin() + end, uint64_t{0}));
    });
  }
  state.counters["bytes"] = rate(kStreamBytes);
}

void register_all(ThreadPool& pool) {
  const auto configure = [](benchmark::internal::Benchmark* registered) {
    registered->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  configure(benchmark::RegisterBenchmark(
      "memory_read", [&pool](benchmark::State& state) { bench_memory_read(state, pool); }));
  for (const int64_t rows : {1, 32, 128}) {
    for (const auto& [out, in] : {std::pair{2048, 2048}, {8192, 2048}, {2048, 8192}}) {
      for (const Format& format : kFormats) {
        const LinearCase c{format, out, in, rows};
        const std::string name = fmt::format("linear/{}x{}/{}/rows:{}", out, in, format.name, rows);
        configure(benchmark::RegisterBenchmark(
            name.c_str(), [c, &pool](benchmark::State& state) { bench_linear(state, c, pool); }));
      }
    }
  }
}

}  // namespace
}  // namespace diptych::bench

int main(int argc, char** argv) {
  diptych::ThreadPool pool;
  diptych::bench::register_all(pool);
  return diptych::bench::run(argc, argv);
}
