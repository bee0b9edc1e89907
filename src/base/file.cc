#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/stand_in.h"

namespace diptych {

namespace {

tl::unexpected<Error> system_error(const std::string& path, std::string_view action) {
  const int code = errno;
  auto error = fail(code == ENOENT ? ErrorCode::NotFound : ErrorCode::Io, "cannot {}: {}", action,
                    std::generic_category().message(code));
  return tl::unexpected(std::move(error.value()).within(path));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Files are written in multiples of a huge page, for some file systems keep what was written
// together in one piece of memory, and a map of huge pages is read faster: a model is often run
// right after it was exported.
constexpr size_t kHugePage = 2 << 20;

Status write_fully(int fd, Bytes bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return system_error(path, "write");
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) {
    const auto error = system_error(path, "open for reading");
    TRY(within(path, refuse_dead_link(path)));
    return error;
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(path, "stat");
  if (!S_ISREG(info.st_mode)) {
    return within<std::shared_ptr<const MappedFile>>(
        path, invalid_argument("expected a file, found {}",
                               S_ISDIR(info.st_mode) ? "a directory" : "something else"));
  }
  Bytes bytes;
  if (info.st_size > 0) {
    const auto size = static_cast<size_t>(info.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (address == MAP_FAILED) return system_error(path, "map");
    bytes = {static_cast<const std::byte*>(address), size};
  }
  std::shared_ptr<const MappedFile> file(new MappedFile(path, bytes));
  TRY(within(path, refuse_lfs_pointer(bytes)));
  return file;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::prefer_huge_pages() const {
  ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_HUGEPAGE);
}

void MappedFile::note_read(uint64_t size) const {
  constexpr uint64_t kMostResident = 64 << 20;
  if (read_.fetch_add(size) + size < kMostResident) return;
  read_ = 0;
  // Safe for a private read-only mapping of a file: the pages are clean.
  ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

Result<std::string> read_text_file(const std::string& path, uint64_t limit) {
  auto file = TRY(MappedFile::open(path));
  if (file->bytes().size() > limit) {
    return within<std::string>(path, invalid_data("expected at most {} bytes of text, found {}",
                                                  limit, file->bytes().size()));
  }
  return std::string(as_text(file->bytes()));
}

AtomicFile::AtomicFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string& path) {
  if (path.empty()) return invalid_argument("expected the name of a file to write, found \"\"");
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return within<std::unique_ptr<AtomicFile>>(
        path, invalid_argument("is a directory, expected the name of a file to write"));
  }
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return system_error(path, "create");
  ::fchmod(fd, 0644);
  return std::unique_ptr<AtomicFile>(new AtomicFile(path, std::move(temporary), fd));
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

Status AtomicFile::write(Bytes bytes) {
  while (!bytes.empty()) {
    if (buffer_.empty() && bytes.size() >= kHugePage) {
      const Bytes pages = bytes.first(bytes.size() / kHugePage * kHugePage);
      TRY(write_fully(fd_, pages, path_));
      bytes = bytes.subspan(pages.size());
      continue;
    }
    const Bytes some = bytes.first(std::min(kHugePage - buffer_.size(), bytes.size()));
    buffer_.insert(buffer_.end(), some.begin(), some.end());
    if (buffer_.size() == kHugePage) TRY(flush());
    bytes = bytes.subspan(some.size());
  }
  return {};
}

Status AtomicFile::flush() {
  TRY(write_fully(fd_, buffer_, path_));
  buffer_.clear();
  return {};
}

Status AtomicFile::commit() {
  TRY(flush());
  if (::fsync(fd_) != 0) return system_error(path_, "flush to disk");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return system_error(path_, "replace");
  ::close(fd_);
  fd_ = -1;
  return {};
}

Status write_file(const std::string& path, const Source& source) {
  auto file = TRY(AtomicFile::create(path));
  TRY(source.write_to(*file));
  return file->commit();
}

Status write_file(const std::string& path, Bytes bytes) {
  auto file = TRY(AtomicFile::create(path));
  TRY(file->write(bytes));
  return file->commit();
}

Status make_directories(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) {
    return within<void>(path, fail(ErrorCode::Io, "cannot create directory: {}", code.message()));
  }
  return {};
}

}  // namespace diptych
