// The kernels of every instruction set beside the limits of the machine: decoding (one row of
// activations) can be no faster than reading the weights from memory; prefill is compared with fp32
// multiply-adds.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bench.h"
#include "kernels/bf16.h"
#include "kernels/linear.h"
#include "kernels/palette.h"

namespace diptych::bench {
namespace {

using kernels::Isa;

constexpr size_t kStreamBytes = size_t{512} << 20;  // more than any cache holds
constexpr int64_t kRowsAtOnce = 64;                 // weight rows that a thread takes at a time

// Bytes for all weights here, of no particular value: every run of 4096 differs from the next.
const std::vector<std::byte>& stream() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> made(kStreamBytes + 64);
    uint32_t state = 1;
    // 0x3C clears the top bits of fp16 exponents, so that all are finite.
    for (size_t i = 0; i < made.size(); ++i) {
      if (i % 4 == 0) state = state * 1664525u + 1013904223u;
      made[i] = static_cast<std::byte>(state >> (i % 2 == 0 ? 24 : 16) & (i % 2 ? 0xBF : 0xFF));
    }
    return made;
  }();
  return bytes;
}

struct Format {
  const char* name;
  DType dtype;
  int64_t block;             // 0: one scale per row
  bool dequantized = false;  // meets activations as they are
  bool in_bf16 = false;      // meets activations rounded to bf16
  bool offsets = false;      // beside the scales

  bool is_palette() const {
    return dtype == DType::UInt4 || dtype == DType::UInt6 || dtype == DType::UInt8;
  }
};
constexpr Format kFormats[] = {{"int4", DType::Int4, 0},
                               {"int4_block32", DType::Int4, 32},
                               {"int4_block32_offsets", DType::Int4, 32, false, false, true},
                               {"int8", DType::Int8, 0},
                               {"int8_block32_offsets", DType::Int8, 32, false, false, true},
                               {"int8_block16_dequantized", DType::Int8, 16, true},
                               {"int4_dequantized", DType::Int4, 0, true},
                               {"int4_block32_dequantized", DType::Int4, 32, true},
                               {"int8_dequantized", DType::Int8, 0, true},
                               {"palette4", DType::UInt4, 0},
                               {"palette6", DType::UInt6, 0},
                               {"palette8", DType::UInt8, 0},
                               {"palette4_dequantized", DType::UInt4, 0, true},
                               {"palette6_dequantized", DType::UInt6, 0, true},
                               {"palette8_dequantized", DType::UInt8, 0, true},
                               {"fp16", DType::F16, 0},
                               {"fp16_in_bf16", DType::F16, 0, false, true}};

// Memory aligned as activations want it.
struct alignas(64) Line {
  std::byte bytes[64];
};

// A linear with everything it needs, ready to run.
class Linear {
 public:
  Linear(Isa isa, const Format& format, int64_t rows, int64_t columns, int64_t m)
      : isa_(isa),
        format_(format),
        rows_(rows),
        columns_(columns),
        m_(m),
        x_(static_cast<size_t>(m * columns)),
        y_(static_cast<size_t>(m * rows)) {
    for (size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<float>(i % 251) - 125.0f;
    if (format.in_bf16) {
      chunks_.resize(kernels::bf16_bytes(m, columns) / sizeof(Line));
      auto* rounded = reinterpret_cast<std::byte*>(chunks_.data());
      kernels::round_to_bf16(isa, x_.data(), columns, columns, m, 0, m, rounded);
      bf16_ = {rounded, m, columns};
    }
    if (is_float(format.dtype)) return;
    if (format.is_palette()) {
      entries_.assign(size_t{1} << bit_width(format.dtype), 0.5f);
      codes_.assign(entries_.size(), 1);
      row_scales_.assign(static_cast<size_t>(rows), 0.5f);
      palette_ = {stream().data() + 1, bit_width(format.dtype), rows,           columns, rows,
                  codes_.data(),       row_scales_.data(),      entries_.data()};
      quantize(kernels::palette_activations(palette_.bits));
      return;
    }
    quantize(format.dtype);
    const int64_t block = format.block == 0 ? columns : format.block;
    const auto blocks = static_cast<size_t>(rows * columns / block);
    scales_.assign(format.offsets ? 2 * blocks : blocks, 0x2000);  // offsets behind them
    weight_ = {
        stream().data() + 1,
        format.dtype,
        rows,
        columns,
        reinterpret_cast<const std::byte*>(scales_.data()),
        DType::F16,
        block,
        format.offsets ? reinterpret_cast<const std::byte*>(scales_.data() + blocks) : nullptr};
  }

  void run(ThreadPool& pool) {
    pool.parallel_for(rows_, kRowsAtOnce, [this](int64_t begin, int64_t end) {
      if (format_.in_bf16) {
        kernels::linear_bf16(isa_, {stream().data() + 1, format_.dtype, rows_, columns_}, bf16_,
                             begin, end, y_.data(), rows_);
      } else if (is_float(format_.dtype)) {
        kernels::linear_float(isa_, {stream().data() + 1, format_.dtype, rows_, columns_},
                              x_.data(), columns_, m_, begin, end, y_.data(), rows_);
      } else if (format_.is_palette() && format_.dequantized) {
        kernels::linear_palette_dequantized(isa_, palette_, x_.data(), columns_, m_, begin, end,
                                            y_.data(), rows_);
      } else if (format_.is_palette()) {
        kernels::linear_palette(isa_, palette_, activations_, begin, end, y_.data(), rows_);
      } else if (format_.dequantized) {
        kernels::linear_dequantized(isa_, weight_, x_.data(), columns_, m_, begin, end, y_.data(),
                                    rows_);
      } else {
        kernels::linear(isa_, weight_, activations_, begin, end, y_.data(), rows_);
      }
    });
    benchmark::DoNotOptimize(y_.data());
    benchmark::ClobberMemory();
  }

  // Scales and offsets included.
  uint64_t weight_bytes() const {
    return static_cast<uint64_t>(rows_ * columns_ * bit_width(format_.dtype) / 8) +
           2 * scales_.size();
  }

 private:
  void quantize(DType weights) {
    chunks_.resize(kernels::quantized_bytes(isa_, m_, columns_) / sizeof(Line));
    auto* quantized = reinterpret_cast<std::byte*>(chunks_.data());
    kernels::quantize(isa_, x_.data(), columns_, columns_, weights, m_, 0, m_, quantized);
    activations_ = {quantized, weights, m_, columns_};
  }

  Isa isa_;
  Format format_;
  int64_t rows_, columns_, m_;
  std::vector<float> x_, y_;
  std::vector<uint16_t> scales_;
  std::vector<Line> chunks_;
  kernels::QuantizedActivations activations_;
  kernels::Bf16Activations bf16_;
  kernels::LinearWeight weight_;
  kernels::PaletteWeight palette_;
  std::vector<int8_t> codes_;
  std::vector<float> entries_, row_scales_;
};

void bench_read(benchmark::State& state, int threads) {
  const std::byte* data = stream().data();
  ThreadPool pool(threads);
  for (auto _ : state) {
    pool.parallel_for(static_cast<int64_t>(kStreamBytes >> 20), 1, [&](int64_t begin, int64_t end) {
      uint64_t sums[16] = {};
      for (int64_t at = begin << 20; at < end << 20; at += 128) {
        for (int i = 0; i < 16; ++i) sums[i] += load<uint64_t>(data + at + 8 * i);
      }
      for (uint64_t sum : sums) benchmark::DoNotOptimize(sum);
    });
  }
  state.counters["bytes"] = rate(kStreamBytes);
}

// Multiply-adds count as two operations, here and below. The kernel itself, on what fits into the
// first level of cache, is what comes closest to the limit.
void bench_multiply_adds(benchmark::State& state, Isa isa) {
  constexpr int64_t kRows = 8, kColumns = 256, kM = 12;
  const std::vector<float> weights(kRows * kColumns, 0.5f), x(kM * kColumns, 0.5f);
  std::vector<float> y(kM * kRows);
  for (auto _ : state) {
    kernels::linear_float(
        isa, {reinterpret_cast<const std::byte*>(weights.data()), DType::F32, kRows, kColumns},
        x.data(), kColumns, kM, 0, kRows, y.data(), kRows);
    benchmark::ClobberMemory();
  }
  state.counters["operations"] = rate(2 * kRows * kColumns * kM);
}

void bench_decode(benchmark::State& state, Isa isa, const Format& format, int64_t columns,
                  int threads) {
  const int64_t row_bytes = columns * bit_width(format.dtype) / 8;
  Linear linear(isa, format, static_cast<int64_t>(kStreamBytes) / row_bytes, columns, 1);
  ThreadPool pool(threads);
  for (auto _ : state) linear.run(pool);
  state.counters["bytes"] = rate(linear.weight_bytes());
}

void bench_prefill(benchmark::State& state, Isa isa, const Format& format, int64_t rows,
                   int64_t columns, int64_t m) {
  Linear linear(isa, format, rows, columns, m);
  ThreadPool pool(1);
  for (auto _ : state) linear.run(pool);
  state.counters["operations"] = rate(static_cast<uint64_t>(2 * rows * columns * m));
}

void bench_quantize(benchmark::State& state, Isa isa, DType weights) {
  constexpr int64_t kColumns = 2048;
  std::vector<float> x(kColumns);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 251) - 125.0f;
  std::vector<Line> out(kernels::quantized_bytes(isa, 1, kColumns) / sizeof(Line));
  for (auto _ : state) {
    kernels::quantize(isa, x.data(), kColumns, kColumns, weights, 1, 0, 1,
                      reinterpret_cast<std::byte*>(out.data()));
    benchmark::ClobberMemory();
  }
  state.counters["values"] = rate(kColumns);
}

void register_all() {
  using benchmark::RegisterBenchmark;
  for (const int threads : {1, 2}) {
    RegisterBenchmark(fmt::format("read/{}threads", threads).c_str(), bench_read, threads)
        ->UseRealTime();
  }
  for (const Isa isa : kernels::available_isas()) {
    if (isa == Isa::Scalar) continue;  // orders of magnitude slower
    const std::string_view isa_name = kernels::name(isa);
    RegisterBenchmark(fmt::format("multiply_adds/{}", isa_name).c_str(), bench_multiply_adds, isa);
    for (const DType weights : {DType::Int4, DType::Int8}) {
      RegisterBenchmark(fmt::format("quantize/{}/{}", isa_name, name(weights)).c_str(),
                        bench_quantize, isa, weights);
    }
    for (const Format& format : kFormats) {
      if (format.in_bf16 && !kernels::has_bf16(isa)) continue;
      for (const int threads : {1, 2}) {
        RegisterBenchmark(
            fmt::format("decode/{}/{}/{}threads", isa_name, format.name, threads).c_str(),
            bench_decode, isa, format, 2048, threads)
            ->UseRealTime();
      }
      for (const auto& [rows, columns] :
           {std::pair(2048, 2048), {8192, 2048}, {2048, 8192}, {1536, 576}}) {
        for (const int m : {1, 4, 8, 32, 64, 512}) {
          RegisterBenchmark(
              fmt::format("prefill/{}/{}/{}x{}/m{}", isa_name, format.name, rows, columns, m)
                  .c_str(),
              bench_prefill, isa, format, rows, columns, m)
              ->Unit(benchmark::kMillisecond)
              ->UseRealTime();
        }
      }
    }
  }
}

}  // namespace
}  // namespace diptych::bench

int main(int argc, char** argv) {
  diptych::bench::stream();  // not in the time of the first benchmark
  diptych::bench::register_all();
  return diptych::bench::run(argc, argv);
}
