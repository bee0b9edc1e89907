// NumPy's files: what is read of arbitrary bytes, and that what is read can be written and
// converted.
#include <cstdlib>

#include "numpy/npy.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)numpy::parse_npz(bytes);
  const auto array = numpy::parse_npy(bytes);
  if (!array) return 0;
  for (const DType dtype :
       {DType::Bool, DType::Int8, DType::Int64, DType::UInt64, DType::F16, DType::F32})
    (void)numpy::converted(*array, dtype);
  const auto again = numpy::parse_npy(numpy::format_npy(*array));
  if (!again || again->type != array->type || again->data != array->data) std::abort();
  return 0;
}

namespace {

numpy::Array array_of(TensorType type, size_t bytes) {
  numpy::Array array;
  array.type = std::move(type);
  array.data.assign(bytes, std::byte{1});
  return array;
}

}  // namespace

std::vector<std::vector<std::byte>> fuzz_seeds() {
  const numpy::Array x = array_of({DType::F32, {2, 3}}, 24);
  const numpy::Array y = array_of({DType::Int64, {}}, 8);
  MemorySink archive;
  (void)numpy::write_npz({{"x", &x}, {"y", &y}}, archive);
  return {numpy::format_npy(x), numpy::format_npy(y), archive.data};
}
