// The only place where files are opened: a read-only map for input, an atomic writer for output.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/mapped_ranges.h"
#include "base/run_files.h"
#include "base/stream.h"
#include "base/temporaries.h"

namespace diptych {

// What a file is opened for: an input of the run, which no output may replace, or to be edited, by
// an output that may.
enum class Use : uint8_t { Input, Edit };

// A regular file mapped read-only for as long as the object lives. Immutable; share it freely.
// Directories, pipes, sockets and devices are refused, without a wait.
class MappedFile {
 public:
  // What only stands in for a file (base/stand_in.h) is refused.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path,
                                                        Use use = Use::Input);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return bytes_; }
  // Wishes that what is not in the page cache yet comes there in huge pages, which are read faster.
  // For what is read whole and again; elsewhere more becomes resident than is needed.
  void prefer_huge_pages() const;
  // Tells that `size` bytes have been read, for streaming through large files: after every 64 MiB
  // the file's pages are taken out of this process's resident memory. They stay in the page cache
  // and come back when touched, also while other threads read.
  void note_read(uint64_t size) const;
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, Bytes bytes, const struct stat& info)
      : path_(std::move(path)), bytes_(bytes), range_(bytes, path_.c_str(), info) {}
  std::string path_;
  Bytes bytes_;
  MappedRange range_;
  mutable std::atomic<uint64_t> read_ = 0;  // since the last release
};

// The whole of a small text file; larger than `limit` bytes is an error.
Result<std::string> read_text_file(const std::string& path, uint64_t limit = 64 << 20,
                                   Use use = Use::Input);

struct OutputOptions {
  mode_t mode = 0666;    // of a new file, less the umask
  Use use = Use::Input;  // Edit: the run may write it again
};

// A file that appears under its name only when complete, at commit(); destroyed without, nothing is
// left behind. Where the system can, the bytes go to a file without a name, so that not even a
// process that is killed leaves anything; else to a temporary neighbour.
//
// What was there is replaced: its other names (hard links) keep the old contents. A symbolic link
// stays and the file that it leads to is replaced, or made. The mode of what is replaced is kept,
// and its owner where that is allowed; extended attributes are not. Refused, before anything is
// written, are directories, pipes, sockets and devices, what is write-protected, and what RunFiles
// knows as an input or as another output.
class AtomicFile : public Sink {
 public:
  static Result<std::unique_ptr<AtomicFile>> create(const std::string& path,
                                                    const OutputOptions& options = {});
  ~AtomicFile() override;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  Status write(Bytes bytes) override;
  // Brings all that was written to the disk: then commit() takes no time. For several files that
  // are to appear together.
  Status flush();
  Status commit();

 private:
  struct Target;
  static Result<Target> find_target(const std::string& path);
  explicit AtomicFile(std::string path) : path_(std::move(path)) {}
  Status open_unnamed(mode_t mode);
  Status open_named(mode_t mode);
  Status take_attributes(const struct stat& present);
  Status appear();
  Status write_buffer();

  std::string path_;  // as errors name it
  OutputClaim claim_;
  int directory_ = -1;  // that the file appears in
  std::string name_;    // there
  std::string where_;   // the same place as a path
  int fd_ = -1;
  std::string temporary_;  // the name of the file so far; empty when it has none
  std::optional<Temporary> known_;
  bool keep_claim_ = true;
  std::vector<std::byte> buffer_;
};

// Writes `source` to `path` atomically.
Status write_file(const std::string& path, const Source& source);
Status write_file(const std::string& path, Bytes bytes, const OutputOptions& options = {});

// Creates a directory and its parents; an existing directory is fine.
Status make_directories(const std::string& path);

}  // namespace diptych
