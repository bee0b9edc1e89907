// The file system inside a delegate's payload ("in-memory file system" of ExecuTorch's Core ML
// backend): the files one after another, then an index that is read from the end.
//
//   file bytes | gap | file bytes | … | index as JSON, written backwards | zeros
//
// The JSON {"nodes":[…]} lists the nodes of the tree in post-order, so children precede their
// directory and the root comes last. Each has a name, a kind (0 file, 1 directory), the region of
// its data, and for directories the children's indices by name. Source: ExecuTorch's
// backends/apple/coreml/runtime/inmemoryfs; docs/formats/coreml_delegate.md.
#pragma once

#include <string>

#include "coreml/file_map.h"

namespace diptych::coreml {

struct MemoryFs {
  std::string root_name;  // free to choose; upstream says "lowered_module…"
  FileMap files;
};

// Reads a blob, which `owner` keeps alive; the files are slices of it. Files that no directory
// lists are left out.
Result<MemoryFs> read_memory_fs(Bytes blob, std::shared_ptr<const void> owner);

// Returns a blob with the files' data in the given order and without gaps. Only the first file has
// the blob's own alignment.
Result<SourceRef> write_memory_fs(std::string_view root_name, const std::vector<FileEntry>& files);

}  // namespace diptych::coreml
