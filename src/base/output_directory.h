// A directory for output that leaves nothing behind when what it was made for fails.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace diptych {

// A directory with its parents, those made that do not exist. Destroyed without keep(), those that
// it made and that are empty are removed again.
class OutputDirectory {
 public:
  static Result<OutputDirectory> create(const std::string& path);
  ~OutputDirectory();
  OutputDirectory(OutputDirectory&& other) noexcept : made_(std::move(other.made_)) {
    other.made_.clear();
  }
  OutputDirectory& operator=(OutputDirectory&&) = delete;

  void keep() { made_.clear(); }

 private:
  OutputDirectory() = default;
  std::vector<std::string> made_;  // the innermost first
};

}  // namespace diptych
