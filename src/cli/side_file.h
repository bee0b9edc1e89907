// A file of text that a command writes besides its result, if asked to.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"

namespace diptych::cli {

class SideFile {
 public:
  // Before the work, so that an impossible path is refused in time. An empty one: no file.
  static Result<SideFile> create(const std::string& path) {
    SideFile file;
    if (!path.empty()) file.file_ = TRY(AtomicFile::create(path));
    return file;
  }
  // Writes what `text()` gives.
  template <class Text>
  Status write(const Text& text) {
    if (!file_) return {};
    TRY(file_->write(as_bytes(std::string_view(text()))));
    return file_->commit();
  }

 private:
  std::unique_ptr<AtomicFile> file_;
};

}  // namespace diptych::cli
