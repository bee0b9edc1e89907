// What lies in a file's place when the file itself was not fetched: a link that leads nowhere, a
// Git LFS pointer. MappedFile::open() refuses both, so that every file that is read is covered.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace diptych {

// Whether something has this name, be it a link that leads nowhere: then opening it says so, and
// the file does not count as one that was never there.
bool is_there(const std::string& path);

// An error if `path` is a link that leads nowhere.
Status refuse_dead_link(const std::string& path);

// An error if the bytes of a file are a Git LFS pointer.
Status refuse_lfs_pointer(Bytes file);

}  // namespace diptych
