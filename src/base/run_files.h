// What one run of a program reads and writes, so that no output takes the place of one of its
// inputs or of another output. Files are compared by device and number: links and other spellings
// of a path make no difference.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <utility>

#include "base/error.h"

namespace diptych {

struct FileId {
  explicit FileId(const struct stat& info) : device(info.st_dev), number(info.st_ino) {}
  auto operator<=>(const FileId&) const = default;
  dev_t device;
  ino_t number;
};

// A run, from construction to destruction; one at a time. While there is one, MappedFile and
// AtomicFile tell of what they open and refuse what would destroy an input, whichever of the two is
// opened first. Where standard input, output and error lead counts as in use, too. Without a run
// nothing is recorded or refused.
class RunFiles {
 public:
  RunFiles();
  ~RunFiles();
  RunFiles(const RunFiles&) = delete;
  RunFiles& operator=(const RunFiles&) = delete;
};

// A place that is written: a name in a directory.
struct OutputPlace {
  FileId directory;
  std::string name;
  std::optional<FileId> present;  // the file there before
};

// The right to write a place, until it is destroyed.
class OutputClaim {
 public:
  OutputClaim() = default;
  ~OutputClaim() { withdraw(); }
  OutputClaim(OutputClaim&& other) noexcept : id_(other.id_) { other.id_ = 0; }
  OutputClaim& operator=(OutputClaim&& other) noexcept {
    withdraw();
    std::swap(id_, other.id_);
    return *this;
  }
  // Holds until the end of the run.
  void keep() { id_ = 0; }
  void withdraw();

 private:
  friend Result<OutputClaim> claim_output(const std::string& path, OutputPlace place);
  uint64_t id_ = 0;  // 0: none
};

// Refuses an input that is being written.
Status note_input(const std::string& path, FileId id);
// Refuses a place that is read, or that is written already.
Result<OutputClaim> claim_output(const std::string& path, OutputPlace place);

}  // namespace diptych
