// Convolutions and transposed ones in the shapes of vision models and of decoders that enlarge
// images, beside what multiply-adds come to at most; "typed" is the reference kernel.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "execution.h"
#include "mil/builder.h"

namespace diptych::bench {
namespace {

struct Case {
  bool transposed;
  int64_t in, out, groups, size, kernel, stride, pad;

  int64_t out_size() const {
    return transposed ? (size - 1) * stride + kernel - 2 * pad
                      : (size + 2 * pad - kernel) / stride + 1;
  }
  // Of the windows in the smaller of both images, but for what padding leaves out.
  int64_t multiply_adds() const {
    const int64_t places = transposed ? size : out_size();
    return places * places * in * out / groups * kernel * kernel;
  }
};

Result<std::unique_ptr<engine::Execution>> create(const Case& c, engine::Numerics numerics) {
  mil::Builder b(std::make_unique<mil::Function>("convolution"));
  mil::Value* const x = b.input("x", {DType::F32, {1, c.in, c.size, c.size}});
  Shape shape{c.out, c.in / c.groups, c.kernel, c.kernel};
  if (c.transposed) shape = {c.in, c.out / c.groups, c.kernel, c.kernel};
  const WeightRef weight = TRY(random_in_memory({DType::F32, shape}));
  const WeightRef bias = TRY(random_in_memory({DType::F32, {c.out}}));
  mil::Value* const y = b.op(c.transposed ? "conv_transpose" : "conv",
                             {{"x", {x}},
                              {"weight", {b.constant("weight", weight)}},
                              {"bias", {b.constant("bias", bias)}},
                              {"strides", {b.ints({c.stride, c.stride})}},
                              {"pad_type", {b.string("custom")}},
                              {"pad", {b.ints({c.pad, c.pad, c.pad, c.pad})}},
                              {"groups", {b.int_scalar(c.groups)}}});
  const auto function = TRY(b.finish({y}));
  engine::ExecutableOptions options;
  options.numerics = numerics;
  return engine::Execution::create(TRY(engine::Executable::compile(*function, options)));
}

void bench_conv(benchmark::State& state, const Case& c, engine::Numerics numerics) {
  const int64_t out = c.out_size();
  if (!run_again(state, create(c, numerics), {1, c.in, c.size, c.size}, {1, c.out, out, out}))
    return;
  state.counters["FLOP"] = rate(2 * static_cast<uint64_t>(c.multiply_adds()));
}

void register_all() {
  const Case cases[] = {
      {false, 64, 64, 1, 56, 3, 1, 1},    {false, 256, 256, 1, 14, 3, 1, 1},
      {false, 512, 512, 1, 7, 3, 1, 1},   {false, 64, 64, 1, 56, 1, 1, 0},
      {false, 256, 1024, 1, 14, 1, 1, 0}, {false, 3, 64, 1, 224, 7, 2, 3},
      {true, 256, 128, 1, 28, 2, 2, 0},   {true, 128, 64, 1, 56, 2, 2, 0},
      {true, 512, 256, 1, 8, 4, 2, 1},    {true, 128, 64, 1, 32, 4, 2, 1},
      {true, 128, 64, 1, 32, 3, 2, 1},    {true, 64, 64, 1, 56, 3, 1, 1},
      {true, 64, 3, 1, 64, 4, 2, 1},      {true, 64, 64, 64, 56, 4, 2, 1},
      {true, 100, 512, 1, 1, 4, 1, 0},
  };
  for (const Case& c : cases) {
    for (const auto numerics : {engine::Numerics::Typed, engine::Numerics::Precise}) {
      const std::string name =
          fmt::format("{}/{}to{}{}/{}/{}by{}/{}", c.transposed ? "transposed" : "conv", c.in, c.out,
                      c.groups == 1 ? "" : fmt::format("in{}", c.groups), c.size, c.kernel,
                      c.stride, numerics == engine::Numerics::Typed ? "typed" : "precise");
      benchmark::RegisterBenchmark(
          name.c_str(), [c, numerics](benchmark::State& state) { bench_conv(state, c, numerics); });
    }
  }
}

}  // namespace
}  // namespace diptych::bench

int main(int argc, char** argv) {
  diptych::bench::register_all();
  return diptych::bench::run(argc, argv);
}
