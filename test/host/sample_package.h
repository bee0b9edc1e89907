// A small Core ML package.
#pragma once

#include <string>
#include <vector>

#include "coreml/file_map.h"

namespace diptych::testing {

// Of two functions: "main" gives "sum" = "x" + "y" and "product" = "x" · "y", "scaled" gives "out"
// = 2 · "x"; all are fp32[2,3].
Result<std::vector<coreml::FileEntry>> sample_package();
// Writes it to a directory.
Status write_sample_package(const std::string& directory);

}  // namespace diptych::testing
