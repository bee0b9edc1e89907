// Directories for output that leave nothing behind when what they were made for fails.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/temporaries.h"

namespace diptych {

// A directory with its parents, those made that do not exist. Destroyed without keep(), those that
// it made and that are empty are removed again.
class OutputDirectory {
 public:
  static Result<OutputDirectory> create(const std::string& path);
  ~OutputDirectory();
  OutputDirectory(OutputDirectory&& other) noexcept;
  OutputDirectory& operator=(OutputDirectory&&) = delete;

  void keep();

 private:
  OutputDirectory() = default;
  std::vector<std::string> made_;  // the innermost first
  std::vector<Temporary> known_;
};

// A new directory that is removed with all its contents in the end.
class TemporaryDirectory {
 public:
  // Beside `path` and named after it, so that what is in it can be moved there.
  static Result<TemporaryDirectory> beside(const std::string& path);
  ~TemporaryDirectory();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;

  const std::string& path() const { return path_; }

 private:
  TemporaryDirectory(std::string path, Temporary known)
      : path_(std::move(path)), known_(std::move(known)) {}
  std::string path_;
  Temporary known_;
};

}  // namespace diptych
