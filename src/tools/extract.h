// Takes the Core ML packages out of a .pte, as ExecuTorch's extract_coreml_models.py does.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace diptych::tools {

struct ExtractedPackage {
  std::string path;    // of the .mlpackage
  uint64_t bytes = 0;  // of all files that came with it
};

// Writes the file system of every Core ML delegate of the file at `path`, unchanged, under
// `directory`:
//   <key>/<root>/model.mlpackage/…, metadata.json, …   packages in named data, each once
//   model_<i>/<root>/…                                 payloads that are packages themselves
// where <root> is the name inside the payload and i counts all that is written, from 1. An earlier
// extract of one of these names is replaced: a directory of packages (.mlpackage or .modelpackage,
// with Manifest.json) and JSON files alone. A directory that did not exist appears as a whole, and
// otherwise each package.
//
// Errors: InvalidArgument when something else has such a name; Unsupported for a program without
// Core ML delegates and for compiled models, InvalidData and NotFound for damaged payloads. Nothing
// is written unless everything can be.
Result<std::vector<ExtractedPackage>> extract(const std::string& path,
                                              const std::string& directory);

}  // namespace diptych::tools
