#include "base/output_directory.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "base/file.h"

namespace diptych {

namespace fs = std::filesystem;

Result<OutputDirectory> OutputDirectory::create(const std::string& path) {
  OutputDirectory directory;
  std::error_code ignored;
  for (fs::path missing = fs::absolute(path, ignored).lexically_normal();
       missing.has_relative_path() && !fs::exists(missing, ignored);
       missing = missing.parent_path()) {
    if (missing.has_filename()) directory.made_.push_back(missing.string());  // not "a/b/"
  }
  TRY(make_directories(path));
  return directory;
}

OutputDirectory::~OutputDirectory() {
  for (const std::string& path : made_) {
    if (::rmdir(path.c_str()) != 0) return;
  }
}

}  // namespace diptych
