// Feeds arbitrary bytes to the .pte reader; what it accepts must be writable and readable again.

#include <cstdlib>

#include "pte/constant_method.h"
#include "pte/dump.h"
#include "pte/reader.h"
#include "pte/writer.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto program = pte::read({reinterpret_cast<const std::byte*>(data), size});
  if (!program) return 0;
  pte::dump(*program);
  const auto source = pte::write(*program);
  const auto file = source ? read_all(**source) : std::vector<std::byte>();
  if (!file || !pte::read(*file)) std::abort();
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  pte::Program program;
  pte::Method method;
  method.name = "forward";
  method.values = {*pte::make_tensor({DType::F16, {2, 3}}), *pte::make_tensor({DType::Int32, {}}),
                   pte::IntList{{3}}, int64_t{7}, pte::TensorList{{0, 1}}};
  method.inputs = {0};
  method.outputs = {1};
  method.operators = {{"aten::add", "out"}};
  method.delegates = {{"CoreMLBackend", {{"compute_units", "all"}}, pte::Blob::own("payload")}};
  method.instructions = {pte::DelegateCall{0, {0, 1}}, pte::KernelCall{0, {0, 3}},
                         pte::JumpFalseCall{3, 0}};
  program.methods = {method, pte::constant_method("vocab_size", int64_t{512})};
  program.methods.push_back(*pte::constant_tensor_method(
      program, "mask_specs", {DType::Int64, {1, 2}}, std::vector<std::byte>(16)));
  const auto plain = read_all(**pte::write({{method}, program.constants, {{}}, {}, {}}));
  program.named_data = {{"model", pte::Blob::own("model bytes")}};
  return {*plain, *read_all(**pte::write(program))};
}
