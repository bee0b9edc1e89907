// .mlpackage: a directory with a manifest, the model and its weight file.
//
//   Manifest.json                            which item is the model, where the items lie
//   Data/com.apple.CoreML/model.mlmodel
//   Data/com.apple.CoreML/weights/weight.bin
//
// Source: docs/formats/mlpackage.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coreml/file_map.h"
#include "coreml/model.h"

namespace diptych::coreml {

// Returns the files of a package with this model. The weight file comes first, for its alignment
// (see write_memory_fs), and exists even when the model has no weights; it is produced on `pool`,
// if one is given. `identity` determines the manifest's item ids: pass the model's digest.
std::vector<FileEntry> package_files(const SerializedModel& model, const Digest& identity,
                                     std::shared_ptr<ThreadPool> pool = nullptr);

// Reads the package whose files in `files` have paths that start with `prefix` ("" or
// "model.mlpackage/"). The manifest tells where the model is; the weight file lies beside it.
// `pool` is that of read_model().
Result<Model> read_package(const FileMap& files, std::string_view prefix = "",
                           ThreadPool* pool = nullptr);

// Whether a path is that of a model on disk, as far as its name and its place say: a directory that
// is named .mlpackage or .mlmodelc or has a manifest, or a file named .mlmodel. False for paths
// that cannot be looked at.
bool is_model_path(const std::string& path);
// Maps the files of a model on disk: a package's directory, or a .mlmodel and the weight file
// beside it, which there need not be.
Result<FileMap> map_model(const std::string& path);
// Reads what map_model() has mapped.
Result<Model> read_mapped_model(const FileMap& files, ThreadPool* pool = nullptr);

}  // namespace diptych::coreml
