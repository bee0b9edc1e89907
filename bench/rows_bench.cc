// Norms, rotations, activations and conversions of rows that lie in the nearest cache. None comes
// near a limit of the machine's in a model: beside the linears they are to be small.
#include <fmt/format.h>

#include <functional>
#include <utility>
#include <vector>

#include "bench.h"
#include "engine/row_ops.h"
#include "engine/vector_ops.h"

namespace diptych::bench {
namespace {

constexpr size_t kElements = 2048;

struct Rows {
  std::vector<float> x, y, out;
  std::vector<std::byte> halves;
  std::vector<int32_t> codes;

  Rows()
      : x(kElements),
        y(kElements, 0.75f),
        out(kElements),
        halves(2 * kElements),
        codes(kElements, 5) {
    for (size_t i = 0; i < kElements; ++i) x[i] = static_cast<float>(i % 251) / 64 - 2;
  }
};

void bench_row(benchmark::State& state, const std::function<void(Rows&)>& compute) {
  Rows rows;
  for (auto _ : state) {
    compute(rows);
    benchmark::ClobberMemory();
  }
  state.counters["elements"] = rate(kElements);
}

void register_all() {
  const auto add = [](const char* name, std::function<void(Rows&)> compute) {
    benchmark::RegisterBenchmark(
        fmt::format("{}/{}", name, kElements).c_str(),
        [compute = std::move(compute)](benchmark::State& state) { bench_row(state, compute); });
  };
  add("rms_norm", [](Rows& r) {
    engine::rms_norm({1e-5f, false}, r.x.data(), r.y.data(), kElements, r.out.data());
  });
  add("rotate_neighbours", [](Rows& r) {
    engine::rotate_neighbours(r.x.data(), r.y.data(), r.y.data(), kElements, r.out.data());
  });
  add("rotate_halves", [](Rows& r) {
    engine::rotate_halves(r.x.data(), r.y.data(), r.y.data(), kElements, r.out.data());
  });
  add("swiglu", [](Rows& r) { engine::swiglu(r.x.data(), r.y.data(), kElements, r.out.data()); });
  add("floats_to_steps", [](Rows& r) {
    engine::floats_to_steps(r.x.data(), kElements, {0.02f, 3, -128, 127}, r.codes.data());
  });
  add("steps_to_floats", [](Rows& r) {
    engine::steps_to_floats(r.codes.data(), kElements, {0.02f, 3, 0, 0}, r.out.data());
  });
  add("halves_to_floats",
      [](Rows& r) { engine::halves_to_floats(r.halves.data(), kElements, r.out.data()); });
  add("floats_to_halves",
      [](Rows& r) { engine::floats_to_halves(r.x.data(), kElements, r.halves.data()); });
}

}  // namespace
}  // namespace diptych::bench

int main(int argc, char** argv) {
  diptych::bench::register_all();
  return diptych::bench::run(argc, argv);
}
