#include "sample.h"

#include "pte/constant_method.h"
#include "pte/tree_spec.h"
#include "pte/writer.h"
#include "testing/shared_data.h"

namespace diptych::pte {

namespace {

Tensor tensor(ScalarType type, Shape sizes) {
  Tensor result;
  result.scalar_type = type;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    result.dim_order.push_back(static_cast<uint8_t>(axis));
  }
  result.sizes = std::move(sizes);
  return result;
}

Method kernel_method(Program& program) {
  Method method;
  method.name = "kernels";
  method.arena_sizes = {0, 64, int64_t{1} << 33};
  method.arena_devices = {{2, Device::Cuda, 1}};
  method.operators = {{"aten::add", "out"}, {"aten::relu", ""}};
  Tensor constant = tensor(ScalarType::Float, {2, 3});
  constant.dim_order = {1, 0};
  constant.data = add_constant(program, Blob::own(some_bytes(24)));
  Tensor planned = tensor(ScalarType::Half, {4});
  planned.allocation = Allocation{1, 56};
  Tensor far = tensor(ScalarType::Byte, {});
  far.allocation = Allocation{2, (uint64_t{1} << 32) + 5};
  far.dynamism = ShapeDynamism::BoundedDynamic;
  Tensor state = tensor(ScalarType::Long, {1});
  state.allocation = Allocation{1, 0};
  state.data = 1;
  program.initial_states.push_back(Blob::own(some_bytes(8, 5)));
  Tensor external = tensor(ScalarType::QInt8, {1000, 1000});
  external.data = 77;
  external.extra = ExtraTensorInfo{"w.größe", DataLocation::External, Device::Cuda, 2};
  method.values = {tensor(ScalarType::Int, {1, 0, 7}),
                   constant,
                   planned,
                   far,
                   state,
                   external,
                   None{},
                   int64_t{-7},
                   true,
                   2.5,
                   std::string("a\0b", 3),
                   IntList{{7, 7}},
                   DoubleList{{0.5, -1e300}},
                   BoolList{{true, false}},
                   TensorList{{0, 1}},
                   OptionalTensorList{{-1, 2, 6}}};
  method.inputs = {0};
  method.outputs = {3, 2};
  method.instructions = {KernelCall{1, {0, 1, 2}}, MoveCall{2, 3}, JumpFalseCall{8, 3},
                         KernelCall{0, {}}, FreeCall{2}};
  return method;
}

Method delegate_method() {
  Method method;
  method.name = "forward";
  method.input_spec = to_json(TreeSpec::arguments({TreeSpec::leaf()}));
  method.output_spec = to_json(TreeSpec::leaf());
  method.values = {tensor(ScalarType::Int, {1, 4}), tensor(ScalarType::Half, {1, 4})};
  method.inputs = {0};
  method.outputs = {1};
  const Blob payload = Blob::own(some_bytes(301, 1));
  method.delegates = {{"A", {{"key", std::string("\0\xFF", 2)}, {"other", ""}}, payload},
                      {"B", {}, {}},
                      {"A", {}, payload},
                      {"C", {}, Blob::own("small")},
                      {"B", {}, {}}};
  method.instructions = {DelegateCall{0, {0, 1}}, DelegateCall{4, {1}}};
  return method;
}

}  // namespace

Program sample_program() {
  Program program;
  program.methods.push_back(kernel_method(program));
  program.methods.push_back(delegate_method());
  program.methods.push_back(constant_method("vocab_size", int64_t{512}));
  const TensorType type{DType::Int64, {1, 2}};
  program.methods.push_back(
      *constant_tensor_method(program, "mask_specs", type, some_bytes(16, 3)));
  program.named_data = {{"first", Blob::own(some_bytes(1000, 4))},
                        {"again", Blob::own(some_bytes(1000, 4))},
                        {"empty", {}}};
  return program;
}

std::vector<std::byte> file_of(const Program& program) {
  const auto source = write(program);
  EXPECT_TRUE(source) << source.error().to_string();
  auto bytes = source ? read_all(**source) : std::vector<std::byte>();
  EXPECT_TRUE(bytes) << bytes.error().to_string();
  if (source && bytes) {
    EXPECT_EQ(bytes->size(), (*source)->size());
  }
  return bytes.value_or(std::vector<std::byte>());
}

Program without_layout(Program program) {
  program.layout = {};
  return program;
}

std::vector<std::byte> some_bytes(size_t size, int seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + seed * 31 + 1);
  return bytes;
}

}  // namespace diptych::pte
