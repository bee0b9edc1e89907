// NumPy arrays, as the golden files hold them: .npy, and .npz (a zip of .npy entries, stored or
// deflated).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/type.h"

namespace diptych::testing {

struct Array {
  TensorType type;              // fp16, fp32, int32, int64 …; C order
  std::vector<std::byte> data;  // packed
  std::vector<float> floats() const;
  std::vector<int64_t> ints() const;
};

Result<Array> read_npy(const std::string& path);
Result<std::map<std::string, Array>> read_npz(const std::string& path);  // keys without ".npy"

}  // namespace diptych::testing
