// The only place where files are opened: a read-only map for input, an atomic writer for output.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/stream.h"

namespace diptych {

// A regular file mapped read-only for as long as the object lives. Immutable; share it freely.
class MappedFile {
 public:
  // What only stands in for a file (base/stand_in.h) is refused.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
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
  MappedFile(std::string path, Bytes bytes) : path_(std::move(path)), bytes_(bytes) {}
  std::string path_;
  Bytes bytes_;
  mutable std::atomic<uint64_t> read_ = 0;  // since the last release
};

// The whole of a small text file; larger than `limit` bytes is an error.
Result<std::string> read_text_file(const std::string& path, uint64_t limit = 64 << 20);

// A file that appears under its name only when complete: bytes go to a temporary neighbour, which
// commit() renames over `path`. Destroyed without commit, nothing is left behind.
class AtomicFile : public Sink {
 public:
  static Result<std::unique_ptr<AtomicFile>> create(const std::string& path);
  ~AtomicFile() override;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  Status write(Bytes bytes) override;
  Status commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd);
  Status flush();
  std::string path_, temporary_;
  int fd_;
  std::vector<std::byte> buffer_;
};

// Writes `source` to `path` atomically.
Status write_file(const std::string& path, const Source& source);
Status write_file(const std::string& path, Bytes bytes);

// Creates a directory and its parents; an existing directory is fine.
Status make_directories(const std::string& path);

}  // namespace diptych
