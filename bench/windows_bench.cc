// Depthwise convolutions and pools in the shapes of mobile vision models, beside what their
// multiply-adds, comparisons or sums come to per second; "typed" is the reference kernel.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "execution.h"
#include "mil/builder.h"

namespace diptych::bench {
namespace {

struct Case {
  std::string op;
  int64_t channels, size, kernel, stride;
};

Result<std::unique_ptr<engine::Execution>> create(const Case& c, engine::Numerics numerics) {
  mil::Builder b(std::make_unique<mil::Function>("windows"));
  mil::Value* x = b.input("x", {DType::F32, {1, c.channels, c.size, c.size}});
  std::vector<mil::Operand> operands{
      {"x", {x}}, {"strides", {b.ints({c.stride, c.stride})}}, {"pad_type", {b.string("same")}}};
  if (c.op == "conv") {
    const WeightRef weight =
        TRY(random_in_memory({DType::F32, {c.channels, 1, c.kernel, c.kernel}}));
    operands.push_back({"weight", {b.constant("weight", weight)}});
    operands.push_back({"groups", {b.int_scalar(c.channels)}});
  } else {
    operands.push_back({"kernel_sizes", {b.ints({c.kernel, c.kernel})}});
  }
  const auto function = TRY(b.finish({b.op(c.op, std::move(operands))}));
  engine::ExecutableOptions options;
  options.numerics = numerics;
  return engine::Execution::create(TRY(engine::Executable::compile(*function, options)));
}

void bench_windows(benchmark::State& state, const Case& c, engine::Numerics numerics) {
  const int64_t out = (c.size + c.stride - 1) / c.stride;
  if (!run_again(state, create(c, numerics), {1, c.channels, c.size, c.size},
                 {1, c.channels, out, out}))
    return;
  state.counters["taps"] =
      rate(static_cast<uint64_t>(c.channels * out * out * c.kernel * c.kernel));
}

void register_all() {
  const Case cases[] = {{"conv", 32, 112, 3, 1},     {"conv", 64, 112, 3, 2},
                        {"conv", 144, 56, 5, 1},     {"conv", 576, 14, 3, 1},
                        {"conv", 960, 7, 3, 1},      {"max_pool", 64, 112, 3, 2},
                        {"avg_pool", 192, 28, 3, 1}, {"avg_pool", 64, 56, 2, 2}};
  for (const Case& c : cases) {
    for (const auto numerics : {engine::Numerics::Typed, engine::Numerics::Precise}) {
      const std::string name =
          fmt::format("{}/{}x{}/{}by{}/{}", c.op, c.channels, c.size, c.kernel, c.stride,
                      numerics == engine::Numerics::Typed ? "typed" : "precise");
      benchmark::RegisterBenchmark(name.c_str(), [c, numerics](benchmark::State& state) {
        bench_windows(state, c, numerics);
      });
    }
  }
}

}  // namespace
}  // namespace diptych::bench

int main(int argc, char** argv) {
  diptych::bench::register_all();
  return diptych::bench::run(argc, argv);
}
