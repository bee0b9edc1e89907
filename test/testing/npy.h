// NumPy arrays, as the golden files hold them, with their elements at hand.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "numpy/npy.h"

namespace diptych::testing {

struct Array : numpy::Array {
  std::vector<float> floats() const;
  std::vector<int64_t> ints() const;
};

Result<Array> read_npy(const std::string& path);
Result<std::map<std::string, Array>> read_npz(const std::string& path);

}  // namespace diptych::testing
