// A small Core ML package on disk.
#pragma once

#include <string>

#include "base/error.h"

namespace diptych::testing {

// Writes a package to `directory`. "main" gives "sum" = "x" + "y" and "product" = "x" · "y",
// "scaled" gives "out" = 2 · "x"; all are fp32[2,3].
Status write_sample_package(const std::string& directory);

}  // namespace diptych::testing
