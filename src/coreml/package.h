// .mlpackage: a directory with a manifest, the model and its weight file.
//
//   Manifest.json                            which item is the model, where the items lie
//   Data/com.apple.CoreML/model.mlmodel
//   Data/com.apple.CoreML/weights/weight.bin
//
// Source: docs/formats/mlpackage.md.
#pragma once

#include <string_view>
#include <vector>

#include "coreml/file_map.h"
#include "coreml/model.h"

namespace diptych::coreml {

// The files of a package whose model is `model`. The weight file comes first, for its alignment
// (see write_memory_fs), and is there even when the model has no weights. `identity` determines the
// manifest's item ids; use the model's digest.
// The weight file is produced on `pool`, if one is given.
std::vector<FileEntry> package_files(const SerializedModel& model, const Digest& identity,
                                     std::shared_ptr<ThreadPool> pool = nullptr);

// Reads the package among `files` whose paths start with `prefix` ("" or "model.mlpackage/"). The
// model is found through the manifest, the weight file beside it. `pool` as for read_model().
Result<Model> read_package(const FileMap& files, std::string_view prefix = "",
                           ThreadPool* pool = nullptr);

}  // namespace diptych::coreml
