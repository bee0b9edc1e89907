#include "base/output_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/file.h"

namespace diptych {

namespace fs = std::filesystem;

Result<OutputDirectory> OutputDirectory::create(const std::string& path) {
  OutputDirectory directory;
  std::error_code ignored;
  for (fs::path missing = fs::absolute(path, ignored).lexically_normal();
       missing.has_relative_path() && !fs::exists(missing, ignored);
       missing = missing.parent_path()) {
    if (!missing.has_filename()) continue;  // "a/b/"
    directory.made_.push_back(missing.string());
    directory.known_.emplace_back(Temporary::Kind::EmptyDirectory, missing.string());
  }
  TRY(make_directories(path));
  return directory;
}

OutputDirectory::OutputDirectory(OutputDirectory&& other) noexcept
    : made_(std::exchange(other.made_, {})), known_(std::exchange(other.known_, {})) {}

OutputDirectory::~OutputDirectory() {
  for (const std::string& path : made_) {
    if (::rmdir(path.c_str()) != 0) return;
  }
}

void OutputDirectory::keep() {
  made_.clear();
  known_.clear();
}

Result<TemporaryDirectory> TemporaryDirectory::beside(const std::string& path) {
  for (;;) {
    std::string name = temporary_name(path);
    Temporary known(Temporary::Kind::Tree, name);
    if (::mkdir(name.c_str(), 0700) == 0) {
      return TemporaryDirectory(std::move(name), std::move(known));
    }
    known.forget();  // another's
    if (errno != EEXIST) {
      return within<TemporaryDirectory>(
          path, fail(ErrorCode::Io, "cannot create a directory beside it: {}",
                     std::generic_category().message(errno)));
    }
  }
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})), known_(std::move(other.known_)) {}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) remove_tree(path_.c_str());
}

}  // namespace diptych
