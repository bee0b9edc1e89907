// Which file an address belongs to, for those who find that it cannot be read any more: a file that
// becomes shorter while it is mapped takes the pages behind its new end away.
#pragma once

#include <sys/stat.h>

#include <atomic>

#include "base/bytes.h"
#include "base/error.h"

namespace diptych {

inline constexpr const char* kBecameShorter = "became shorter while it was read";

// A mapped range of a file, known from construction to destruction. `path` must live as long.
class MappedRange {
 public:
  MappedRange(Bytes bytes, const char* path, const struct stat& info);
  ~MappedRange();
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;

 private:
  struct Entry;
  friend const char* mapped_path_at(const void* address) noexcept;
  friend Status check_mapped_files();
  static std::atomic<Entry*> first_;
  Entry* entry_;
};

// The path of the file that is mapped at an address, or null. May be called in a signal handler.
const char* mapped_path_at(const void* address) noexcept;

// An error when a file became shorter while it is or was mapped (the latter is told once): what was
// read may be zeros behind its new end.
Status check_mapped_files();

}  // namespace diptych
