#include "engine_test_util.h"

#include <cstring>

#include "testing/shared_data.h"

namespace diptych::engine {
namespace {

class StreamedWeight : public Weight {
 public:
  explicit StreamedWeight(WeightRef source) : Weight(source->type()), source_(std::move(source)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    return source_->read_rows(first, count, out);
  }

 private:
  WeightRef source_;
};

Tensor from_weight(const WeightRef& weight) {
  const Bytes bytes = weight->bytes().value();
  return {weight->type(), {bytes.begin(), bytes.end()}};
}

}  // namespace

std::vector<float> Tensor::floats() const {
  return read_floats(*memory_weight(type, data).value()).value();
}
std::vector<int64_t> Tensor::ints() const {
  return read_ints(*memory_weight(type, data).value()).value();
}

Tensor floats(Shape shape, const std::vector<float>& values, DType dtype) {
  return from_weight(constant_floats(dtype, std::move(shape), {values.begin(), values.end()}));
}

Tensor ints(Shape shape, const std::vector<int64_t>& values, DType dtype) {
  return from_weight(constant_ints(dtype, std::move(shape), values));
}

std::vector<float> random_values(size_t count, uint32_t seed, float scale) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

Tensor random_floats(Shape shape, uint32_t seed, DType dtype, float scale) {
  const uint64_t count = element_count(shape).value();
  return floats(std::move(shape), random_values(count, seed, scale), dtype);
}

Tensor part_of(const Tensor& tensor, int64_t first, Shape shape) {
  const int64_t size = bit_width(tensor.type.dtype) / 8;
  const auto count = static_cast<int64_t>(element_count(shape).value());
  Tensor part;
  part.type.dtype = tensor.type.dtype;
  part.type.shape = std::move(shape);
  part.data.assign(tensor.data.begin() + first * size,
                   tensor.data.begin() + (first + count) * size);
  return part;
}

WeightRef shifted_weight(const Tensor& tensor, size_t shift) {
  // 64-aligned memory, so that the shift is the misalignment; no byte follows the last element.
  const size_t size = shift + tensor.data.size();
  std::shared_ptr<std::byte> memory(
      static_cast<std::byte*>(::operator new (size, std::align_val_t{64})),
      [](std::byte* p) { ::operator delete (p, std::align_val_t{64}); });
  std::memcpy(memory.get() + shift, tensor.data.data(), tensor.data.size());
  return mapped_weight(tensor.type, Bytes(memory.get() + shift, tensor.data.size()), memory)
      .value();
}

WeightRef streamed_weight(WeightRef source) {
  return std::make_shared<StreamedWeight>(std::move(source));
}

Result<Outcome> try_run(const mil::Function& function, const std::vector<Tensor>& inputs,
                        const RunOptions& options, bool misaligned) {
  auto execution = TRY(Execution::create(TRY(Executable::compile(function, options.executable))));
  const Executable& executable = execution->executable();
  const size_t shift = misaligned ? 1 : 0;
  std::vector<std::vector<std::byte>> in, out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    in.emplace_back(shift + inputs[i].data.size());
    std::memcpy(in[i].data() + shift, inputs[i].data.data(), inputs[i].data.size());
    TRY(execution->bind_input(i, in[i].data() + shift, inputs[i].type));
  }
  for (size_t i = 0; i < executable.outputs().size(); ++i) {
    const TensorType& type = executable.outputs()[i].type;
    out.emplace_back(shift + TRY(packed_size(type)));
    TRY(execution->bind_output(i, out[i].data() + shift, type));
  }
  ThreadPool pool(options.threads);
  TRY(execution->run(pool));
  Outcome outcome;
  outcome.overflows = execution->overflows();
  for (size_t i = 0; i < out.size(); ++i) {
    outcome.outputs.push_back({executable.outputs()[i].type,
                               {out[i].begin() + static_cast<int64_t>(shift), out[i].end()}});
  }
  return outcome;
}

Outcome run(const mil::Function& function, const std::vector<Tensor>& inputs,
            const RunOptions& options, bool misaligned) {
  auto outcome = try_run(function, inputs, options, misaligned);
  if (!outcome) {
    ADD_FAILURE() << outcome.error().to_string();
    return {{Tensor{{DType::F32, {0}}, {}}}, {}};
  }
  return std::move(*outcome);
}

std::unique_ptr<mil::Function> build(const std::vector<TensorType>& inputs, const Body& body) {
  mil::Builder builder(std::make_unique<mil::Function>("main"));
  std::vector<mil::Value*> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values.push_back(builder.input("in" + std::to_string(i), inputs[i]));
  }
  const std::vector<mil::Value*> outputs = body(builder, values);
  auto function = builder.finish(outputs);
  if (!function) {
    ADD_FAILURE() << function.error().to_string();
    return std::make_unique<mil::Function>("broken");
  }
  return std::move(*function);
}

Tensor evaluate(const std::vector<Tensor>& inputs, const Body& body, const RunOptions& options) {
  std::vector<TensorType> types;
  for (const Tensor& input : inputs) types.push_back(input.type);
  const auto function = build(types, body);
  return run(*function, inputs, options).outputs.at(0);
}

}  // namespace diptych::engine
