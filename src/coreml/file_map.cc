#include "coreml/file_map.h"

#include <filesystem>
#include <system_error>

#include "base/file.h"

namespace diptych::coreml {

namespace {

// More files than any package has; a guard against being pointed at a home directory.
constexpr size_t kMaxFiles = 4096;

class ViewSource : public Source {
 public:
  explicit ViewSource(FileView view) : view_(std::move(view)) {}
  uint64_t size() const override { return view_.bytes.size(); }
  Status write_to(Sink& sink) const override { return sink.write(view_.bytes); }

 private:
  FileView view_;
};

}  // namespace

Status check_relative_path(std::string_view path, std::string_view what) {
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.find('\\') != part.npos ||
        part.find('\0') != part.npos) {
      return invalid_data("{}: \"{}\" is not a plain relative path", what, path);
    }
    begin = end + 1;
  }
  return {};
}

Result<FileMap> map_directory(const std::string& directory) {
  namespace fs = std::filesystem;
  FileMap files;
  std::error_code code;
  fs::recursive_directory_iterator at(directory, code), end;
  while (!code && at != end) {
    if (at->is_regular_file(code) && !code) {
      if (files.size() == kMaxFiles) {
        return within<FileMap>(directory, invalid_data("expected a package, found a directory of "
                                                       "more than {} files",
                                                       kMaxFiles));
      }
      auto file = TRY(MappedFile::open(at->path().string()));
      const Bytes bytes = file->bytes();
      files.emplace(at->path().lexically_relative(directory).generic_string(),
                    FileView{bytes, std::move(file)});
    }
    if (!code) at.increment(code);
  }
  if (code) {
    return within<FileMap>(
        directory,
        fail(code == std::errc::no_such_file_or_directory ? ErrorCode::NotFound : ErrorCode::Io,
             "cannot list directory: {}", code.message()));
  }
  return files;
}

Status write_directory(const std::string& directory, const std::vector<FileEntry>& files) {
  for (const FileEntry& file : files) {
    TRY(check_relative_path(file.path, "file to write"));
    const std::filesystem::path path = std::filesystem::path(directory) / file.path;
    TRY(make_directories(path.parent_path().string()));
    TRY(write_file(path.string(), *file.contents));
  }
  return {};
}

SourceRef view_source(FileView view) { return std::make_shared<ViewSource>(std::move(view)); }

}  // namespace diptych::coreml
