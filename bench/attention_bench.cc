// Attention beside the limits of the machine. Decoding: one row over caches that are read from
// memory, as between two tokens of a large model all of them have left the processor's caches;
// it can be no faster than they are read. Prefill: many rows that share what is loaded, beside fp32
// multiply-adds.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bench.h"
#include "engine/attention.h"
#include "measure/limits.h"

namespace diptych::bench {
namespace {

using engine::AttentionArguments;
using engine::AttentionShape;

constexpr uint64_t kStreamBytes = uint64_t{256} << 20;  // more than any cache holds
constexpr uint16_t kMinusInfinity = 0xFC00;             // of fp16

struct Case {
  int64_t heads, kv_heads, head_dim;
  int64_t rows;            // queries of a head
  int64_t slots, present;  // of the cache, and those that are seen
};

// The attention of as many layers as fill the stream, and everything it reads.
class Layers {
 public:
  explicit Layers(const Case& c, int threads)
      : pool_(threads),
        shape_{c.heads, c.kv_heads, c.rows, c.head_dim, {{c.slots, c.rows}}, 0.125f},
        cache_halves_(static_cast<size_t>(c.kv_heads * c.slots * c.head_dim)),
        count_(static_cast<int64_t>(kStreamBytes / (2 * sizeof(uint16_t) * cache_halves_)) + 1),
        // Of small numbers: their exponent is at most 0x0C.
        caches_(2 * cache_halves_ * static_cast<size_t>(count_)),
        mask_(static_cast<size_t>(c.rows * shape_.columns.count()), kMinusInfinity),
        q_(static_cast<size_t>(c.heads * c.rows * c.head_dim), 0.5f),
        out_(q_.size()),
        visible_(static_cast<size_t>(c.rows * shape_.columns.blocks())),
        scratch_(engine::attention_scratch(shape_) * static_cast<size_t>(threads)) {
    uint32_t state = 1;
    for (uint16_t& half : caches_) {
      state = state * 1664525u + 1013904223u;
      half = static_cast<uint16_t>(state >> 16 & 0xB3FF);
    }
    for (int64_t row = 0; row < c.rows; ++row) {
      const auto begin = mask_.begin() + row * shape_.columns.count();
      std::fill_n(begin, c.present, uint16_t{0});
      std::fill_n(begin + c.slots, row + 1, uint16_t{0});
    }
    engine::find_visible(shape_.columns, bytes(mask_.data()), true, engine::Hiding::Infinite, 0,
                         c.rows, visible_.data());
  }

  int64_t count() const { return count_; }
  ThreadPool& pool() { return pool_; }

  void compute(int64_t layer) {
    AttentionArguments arguments;
    arguments.shape = shape_;
    arguments.q = q_.data();
    arguments.q_stride = shape_.rows * shape_.head_dim;
    const uint16_t* cache = caches_.data() + 2 * cache_halves_ * static_cast<size_t>(layer);
    arguments.k[0] = {bytes(cache), true};
    arguments.v[0] = {bytes(cache + cache_halves_), true};
    arguments.k[1] = arguments.v[1] = {bytes(caches_.data()), true};
    arguments.mask = {bytes(mask_.data()), true};
    arguments.visible = visible_.data();
    arguments.out = out_.data();
    const int64_t blocks =
        engine::seen_columns(shape_.columns, shape_.rows, visible_.data()).blocks;
    const int64_t queries = engine::attention_item_queries(shape_, blocks, pool_.threads());
    const size_t scratch_size = scratch_.size() / static_cast<size_t>(pool_.threads());
    pool_.parallel_for(
        engine::attention_items(shape_, queries), 1, [&](int64_t begin, int64_t end, int thread) {
          engine::attention(arguments, queries, begin, end,
                            scratch_.data() + scratch_size * static_cast<size_t>(thread));
        });
    benchmark::DoNotOptimize(out_.data());
    benchmark::ClobberMemory();
  }

 private:
  static const std::byte* bytes(const uint16_t* halves) {
    return reinterpret_cast<const std::byte*>(halves);
  }

  ThreadPool pool_;
  AttentionShape shape_;
  size_t cache_halves_;
  int64_t count_;
  std::vector<uint16_t> caches_, mask_;
  std::vector<float> q_, out_;
  std::vector<uint8_t> visible_;
  std::vector<float> scratch_;
};

// An iteration is one token in all layers.
void bench_decode(benchmark::State& state, const Case& c, int threads) {
  Layers layers(c, threads);
  const auto reader = measure::MemoryReader::create(layers.pool());
  if (failed(state, reader)) return;
  for (auto _ : state) {
    for (int64_t layer = 0; layer < layers.count(); ++layer) layers.compute(layer);
  }
  const uint64_t seen = static_cast<uint64_t>(layers.count() * c.kv_heads * c.present) *
                        static_cast<uint64_t>(c.head_dim) * 2 * sizeof(uint16_t);
  report(state, "bytes", seen, (*reader)->measure(layers.pool()));
}

void bench_prefill(benchmark::State& state, const Case& c) {
  Layers layers(c, 1);
  for (auto _ : state) layers.compute(0);
  // Two products, of queries with keys and of scores with values.
  const int64_t pairs = c.rows * c.present + c.rows * (c.rows + 1) / 2;
  report(state, "operations", static_cast<uint64_t>(2 * 2 * c.heads * c.head_dim * pairs),
         measure::measure_fma(layers.pool()));
}

void register_all() {
  using benchmark::RegisterBenchmark;
  for (const int threads : {1, 2}) {
    for (const int64_t present : {64, 512, 2048}) {
      const Case c{32, 8, 64, 1, 2048, present};
      RegisterBenchmark(
          fmt::format("attention_decode/32:8x64/{}of2048/{}threads", present, threads).c_str(),
          bench_decode, c, threads)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
  for (const int64_t present : {0, 512, 2048}) {
    RegisterBenchmark(fmt::format("attention_prefill/32:8x64/rows128/{}of2048", present).c_str(),
                      bench_prefill, Case{32, 8, 64, 128, 2048, present})
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
}

}  // namespace
}  // namespace diptych::bench

int main(int argc, char** argv) {
  diptych::bench::register_all();
  return diptych::bench::run(argc, argv);
}
