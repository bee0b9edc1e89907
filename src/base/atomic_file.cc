#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/system_error.h"

namespace diptych {

namespace {

namespace fs = std::filesystem;

// Files are written in multiples of a huge page, for some file systems keep what was written
// together in one piece of memory, and a map of huge pages is read faster: a model is often run
// right after it was exported.
constexpr size_t kHugePage = 2 << 20;
constexpr int kMostLinks = 40;  // one after another, as the system has it

tl::unexpected<Error> in_place(const std::string& path, tl::unexpected<Error> error) {
  return tl::unexpected(std::move(error.value()).within(path));
}

Status write_fully(int fd, Bytes bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      // The system cannot read what is to be written.
      const char* source = errno == EFAULT ? mapped_path_at(bytes.data()) : nullptr;
      if (source != nullptr) return in_place(source, fail(ErrorCode::Io, "{}", kBecameShorter));
      return system_error(path, "write");
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

// Where a path leads, through links, the last of which may lead to nothing yet.
Result<std::string> follow_links(const std::string& path) {
  fs::path at = path;
  for (int i = 0; i < kMostLinks; ++i) {
    char target[PATH_MAX];
    const ssize_t size = ::readlink(at.c_str(), target, sizeof target);
    if (size < 0) return at.string();
    at = at.parent_path() / std::string(target, static_cast<size_t>(size));
  }
  errno = ELOOP;
  return system_error(path, "create");
}

std::string proc_path(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

}  // namespace

// What a path of an output means.
struct AtomicFile::Target {
  std::string where;
  std::optional<struct stat> present;
};

Result<AtomicFile::Target> AtomicFile::find_target(const std::string& path) {
  if (path.empty()) return invalid_argument("expected the name of a file to write, found \"\"");
  Target target;
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) {
      return in_place(path, invalid_argument("is {}, expected the name of a file to write",
                                             kind_of_file(info.st_mode)));
    }
    target.present = info;
  } else if (errno != ENOENT) {
    return system_error(path, "create");
  }
  target.where = TRY(follow_links(path));
  if (!fs::path(target.where).has_filename()) {
    return in_place(path, invalid_argument("is a directory, expected the name of a file to write"));
  }
  // Some links, as those of /proc, lead to what has no name.
  if (target.present) {
    if (::lstat(target.where.c_str(), &info) != 0) return system_error(path, "create");
    if (FileId(info) != FileId(*target.present)) {
      return in_place(path, invalid_argument("leads to a file without a name"));
    }
  }
  return target;
}

Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string& path,
                                                       const OutputOptions& options) {
  const Target target = TRY(find_target(path));
  std::unique_ptr<AtomicFile> file(new AtomicFile(path));
  file->where_ = target.where;
  file->name_ = fs::path(target.where).filename().string();
  file->keep_claim_ = options.use != Use::Edit;
  const std::string parent = fs::path(target.where).parent_path().string();
  file->directory_ =
      ::open(parent.empty() ? "." : parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat directory {};
  if (file->directory_ < 0 || ::fstat(file->directory_, &directory) != 0) {
    return system_error(path, "create");
  }
  OutputPlace place{FileId(directory), file->name_, {}};
  if (target.present) {
    // A file can be replaced whatever its mode; who protected it does not want that.
    if (::faccessat(file->directory_, file->name_.c_str(), W_OK, AT_EACCESS) != 0) {
      return system_error(path, "write");
    }
    place.present = FileId(*target.present);
  }
  file->claim_ = TRY(claim_output(path, std::move(place)));
  const mode_t mode = target.present ? 0600 : options.mode;
  TRY(file->open_unnamed(mode));
  if (file->fd_ < 0) TRY(file->open_named(mode));
  if (target.present) TRY(file->take_attributes(*target.present));
  return file;
}

// Leaves fd_ as it is where the system has no files without names, or no way to give them one.
Status AtomicFile::open_unnamed(mode_t mode) {
  const int fd = ::openat(directory_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  if (fd < 0) {
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) return {};
    return system_error(path_, "create");
  }
  struct stat unnamed {
  }, found{};
  if (::fstat(fd, &unnamed) == 0 && ::stat(proc_path(fd).c_str(), &found) == 0 &&
      FileId(unnamed) == FileId(found)) {
    fd_ = fd;
  } else {
    ::close(fd);
  }
  return {};
}

Status AtomicFile::open_named(mode_t mode) {
  for (;;) {
    temporary_ = temporary_name(where_);
    known_.emplace(Temporary::Kind::File, temporary_);
    fd_ = ::open(temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd_ >= 0) return {};
    known_.reset();
    temporary_.clear();
    if (errno != EEXIST) return system_error(path_, "create");
  }
}

Status AtomicFile::take_attributes(const struct stat& present) {
  mode_t mode = present.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
  struct stat own {};
  if (::fstat(fd_, &own) != 0) return system_error(path_, "stat");
  if ((own.st_uid != present.st_uid || own.st_gid != present.st_gid) &&
      ::fchown(fd_, present.st_uid, present.st_gid) != 0 &&
      ::fchown(fd_, static_cast<uid_t>(-1), present.st_gid) != 0) {
    // What the old group was allowed is not for the new one.
    const mode_t others = mode & S_IRWXO;
    mode = (mode & ~static_cast<mode_t>(S_IRWXG)) | (mode & others << 3);
  }
  if (::fchmod(fd_, mode) != 0) return system_error(path_, "set the mode");
  return {};
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (fd_ >= 0) ::close(fd_);
  if (directory_ >= 0) ::close(directory_);
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
    if (buffer_.size() == kHugePage) TRY(write_buffer());
    bytes = bytes.subspan(some.size());
  }
  return {};
}

Status AtomicFile::write_buffer() {
  TRY(write_fully(fd_, buffer_, path_));
  buffer_.clear();
  return {};
}

Status AtomicFile::flush() {
  TRY(write_buffer());
  buffer_.shrink_to_fit();
  if (::fsync(fd_) != 0) return system_error(path_, "flush to disk");
  return {};
}

Status AtomicFile::commit() {
  TRY(flush());
  TRY(check_mapped_files());
  TRY(appear());
  if (keep_claim_) claim_.keep();
  return {};
}

Status AtomicFile::appear() {
  // What came there meanwhile is looked at again.
  struct stat present {};
  const bool exists = ::fstatat(directory_, name_.c_str(), &present, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && !S_ISREG(present.st_mode)) {
    return in_place(path_, fail(ErrorCode::Io, "cannot replace: it is {} by now",
                                kind_of_file(present.st_mode)));
  }
  if (temporary_.empty()) {
    const std::string unnamed = proc_path(fd_);
    if (!exists) {
      if (::linkat(AT_FDCWD, unnamed.c_str(), directory_, name_.c_str(), AT_SYMLINK_FOLLOW) == 0) {
        return {};
      }
      if (errno != EEXIST) return system_error(path_, "create");
    }
    // A link replaces nothing, so the file gets a name of its own for a moment.
    for (;;) {
      temporary_ = temporary_name(where_);
      known_.emplace(Temporary::Kind::File, temporary_);
      if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) ==
          0) {
        break;
      }
      known_.reset();
      temporary_.clear();
      if (errno != EEXIST) return system_error(path_, "replace");
    }
  }
  if (::renameat(AT_FDCWD, temporary_.c_str(), directory_, name_.c_str()) != 0) {
    return system_error(path_, "replace");
  }
  temporary_.clear();
  known_.reset();
  return {};
}

Status write_file(const std::string& path, const Source& source) {
  auto file = TRY(AtomicFile::create(path));
  TRY(source.write_to(*file));
  return file->commit();
}

Status write_file(const std::string& path, Bytes bytes, const OutputOptions& options) {
  auto file = TRY(AtomicFile::create(path, options));
  TRY(file->write(bytes));
  return file->commit();
}

}  // namespace diptych
