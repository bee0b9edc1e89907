#include "testing/npy.h"

#include "tensor/weight.h"

namespace diptych::testing {

std::vector<float> Array::floats() const {
  return read_floats(**memory_weight(type, data)).value();
}
std::vector<int64_t> Array::ints() const { return read_ints(**memory_weight(type, data)).value(); }

Result<Array> read_npy(const std::string& path) { return Array{TRY(numpy::read_npy(path))}; }

Result<std::map<std::string, Array>> read_npz(const std::string& path) {
  std::map<std::string, Array> arrays;
  for (auto& [name, array] : TRY(numpy::read_npz(path))) arrays[name] = Array{std::move(array)};
  return arrays;
}

}  // namespace diptych::testing
