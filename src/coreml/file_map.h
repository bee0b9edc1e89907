// Sets of files by relative path, in a directory on disk or in a file system inside a file.
// Packages are read from and written to them, so that code for formats never opens a file.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/stream.h"

namespace diptych::coreml {

// A file to read: its bytes, and what keeps them alive.
struct FileView {
  Bytes bytes;
  std::shared_ptr<const void> owner;
};
// By path relative to the root, with '/' between names ("model.mlpackage/Manifest.json").
using FileMap = std::map<std::string, FileView, std::less<>>;

// A file to write.
struct FileEntry {
  std::string path;  // as in FileMap
  SourceRef contents;
};

// Fails for paths that are not plain and relative: empty or absolute ones, and those with ".",
// "..", empty names, NUL or backslashes. `what` says in the error whose path it is.
Status check_relative_path(std::string_view path, std::string_view what);

// Maps every regular file under a directory into memory.
Result<FileMap> map_directory(const std::string& directory);

// Writes files under a directory, which is created when it does not exist.
Status write_directory(const std::string& directory, const std::vector<FileEntry>& files);

// The bytes of a file as a source.
SourceRef view_source(FileView view);

}  // namespace diptych::coreml
