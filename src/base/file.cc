#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/stand_in.h"
#include "base/system_error.h"

namespace diptych {

namespace {

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

Status check_regular(const std::string& path, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return {};
  return within<void>(path,
                      invalid_argument("expected a file, found {}", kind_of_file(info.st_mode)));
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path, Use use) {
  // Looked at before it is opened: opening a pipe waits for a writer, opening a device acts on it.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const auto error = system_error(path, "open for reading");
    TRY(within(path, refuse_dead_link(path)));
    return error;
  }
  TRY(check_regular(path, info));
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) return system_error(path, "open for reading");
  if (::fstat(fd.get(), &info) != 0) return system_error(path, "stat");
  TRY(check_regular(path, info));
  if (use == Use::Input) TRY(note_input(path, FileId(info)));
  Bytes bytes;
  if (info.st_size > 0) {
    const auto size = static_cast<size_t>(info.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (address == MAP_FAILED && errno == ENOMEM) {
      return within<std::shared_ptr<const MappedFile>>(path, out_of_memory(size));
    }
    if (address == MAP_FAILED) return system_error(path, "map");
    bytes = {static_cast<const std::byte*>(address), size};
  }
  std::shared_ptr<const MappedFile> file(new MappedFile(path, bytes, info));
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

Result<std::string> read_text_file(const std::string& path, uint64_t limit, Use use) {
  auto file = TRY(MappedFile::open(path, use));
  if (file->bytes().size() > limit) {
    return within<std::string>(path, invalid_data("expected at most {} bytes of text, found {}",
                                                  limit, file->bytes().size()));
  }
  return std::string(as_text(file->bytes()));
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
