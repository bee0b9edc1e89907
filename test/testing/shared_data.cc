#include "testing/shared_data.h"

#include <cstdlib>
#include <filesystem>

namespace diptych::testing {

namespace fs = std::filesystem;

std::string shared_data(const std::string& relative) {
  const char* configured = std::getenv("DIPTYCH_SHARED");
  const fs::path root =
      configured ? fs::path(configured) : fs::path(DIPTYCH_SOURCE_DIR) / "../shared";
  const fs::path path = root / "data" / relative;
  return fs::exists(path) ? fs::canonical(path).string() : "";
}

std::string temporary_directory() {
  struct Directory {
    std::string path;
    Directory() {
      path = (fs::temp_directory_path() / "diptych-test-XXXXXX").string();
      if (mkdtemp(path.data()) == nullptr) std::abort();
    }
    ~Directory() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  };
  static const Directory directory;
  return directory.path;
}

std::string source_path(const std::string& relative) {
  return (fs::path(DIPTYCH_SOURCE_DIR) / relative).string();
}

}  // namespace diptych::testing
