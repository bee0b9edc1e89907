#include "tools/extract.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/output_directory.h"
#include "coreml/memory_fs.h"
#include "pte/reader.h"
#include "runtime/coreml_payload.h"

namespace diptych::tools {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPackageName = "model.mlpackage";

// A file system to write.
struct Extract {
  std::string name;     // of its directory
  std::string package;  // the .mlpackage, relative to that
  std::vector<coreml::FileEntry> files;
  uint64_t bytes = 0;
};

Status check_name(const std::string& name) {
  TRY(coreml::check_relative_path(name, "key of named data"));
  if (name.find('/') != name.npos) {
    return invalid_data("key of named data: \"{}\" cannot be the name of a directory", name);
  }
  return {};
}

Result<Extract> read_blob(std::string name, Bytes blob, std::shared_ptr<const void> owner) {
  Extract extract;
  extract.name = std::move(name);
  coreml::MemoryFs memory_fs = TRY(coreml::read_memory_fs(blob, std::move(owner)));
  const std::string root = memory_fs.root_name.empty() ? "" : memory_fs.root_name + "/";
  extract.package = root + std::string(kPackageName);
  bool has_package = false;
  for (auto& [path, view] : memory_fs.files) {
    has_package = has_package || path.starts_with(std::string(kPackageName) + "/");
    extract.bytes += view.bytes.size();
    extract.files.push_back({root + path, coreml::view_source(std::move(view))});
    TRY(coreml::check_relative_path(extract.files.back().path, "file of the delegate"));
  }
  if (!has_package) {
    const bool compiled = std::any_of(
        extract.files.begin(), extract.files.end(),
        [](const auto& file) { return file.path.find(".mlmodelc/") != std::string::npos; });
    if (compiled) return unsupported("the delegate holds a compiled model, no {}", kPackageName);
    return invalid_data("the delegate holds no {}", kPackageName);
  }
  return extract;
}

Result<std::vector<Extract>> collect(const pte::Program& program,
                                     const std::shared_ptr<const void>& owner) {
  TRY(runtime::check_has_coreml(program));
  std::vector<Extract> extracts;
  std::set<std::string> names;
  for (const pte::Method& method : program.methods) {
    for (size_t i = 0; i < method.delegates.size(); ++i) {
      const pte::Delegate& delegate = method.delegates[i];
      if (delegate.backend != coreml::kBackendId) continue;
      const std::string where = runtime::partition_place(method, i);
      const runtime::CoremlPayload payload =
          TRY(within(where, runtime::coreml_payload(program, delegate)));
      std::string name = fmt::format("model_{}", extracts.size() + 1);
      if (payload.reference) {
        name = payload.reference->key;
        TRY(within(where, check_name(name)));
        if (names.contains(name)) continue;
      }
      names.insert(name);
      extracts.push_back(TRY(within(where, read_blob(std::move(name), payload.blob, owner))));
    }
  }
  return extracts;
}

// A directory that is removed with its contents in the end.
class TemporaryDirectory {
 public:
  // Beside `path`, on the same file system.
  static Result<TemporaryDirectory> beside(const std::string& path) {
    std::string name = path + ".XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      return within<TemporaryDirectory>(
          path, fail(ErrorCode::Io, "cannot create a directory beside it: {}",
                     std::generic_category().message(errno)));
    }
    return TemporaryDirectory(std::move(name));
  }
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::move(other.path_)) {
    other.path_.clear();
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  fs::path path_;
};

// Moves a directory to its place; what was there goes to `discard`.
Status replace(const fs::path& from, const fs::path& to, const fs::path& discard) {
  std::error_code code;
  const bool existed = fs::exists(fs::symlink_status(to, code));
  if (existed) fs::rename(to, discard, code);
  if (!existed || !code) {
    fs::rename(from, to, code);
    if (!code) return {};
    std::error_code ignored;
    if (existed) fs::rename(discard, to, ignored);
  }
  return within<void>(to.string(), fail(ErrorCode::Io, "cannot replace: {}", code.message()));
}

}  // namespace

Result<std::vector<ExtractedPackage>> extract(const std::string& path,
                                              const std::string& directory) {
  auto file = TRY(MappedFile::open(path));
  const pte::Program program = TRY(within(path, pte::read(file->bytes())));
  const std::vector<Extract> extracts = TRY(within(path, collect(program, file)));

  // "out/" and "out" are the same; a neighbour of the latter is outside of it.
  fs::path target = fs::absolute(directory).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  std::error_code ignored;
  if (fs::exists(target, ignored) && !fs::is_directory(target, ignored)) {
    return within<std::vector<ExtractedPackage>>(
        directory, invalid_argument("expected a directory to write to, found a file"));
  }
  auto parent = TRY(OutputDirectory::create(target.parent_path().string()));
  const TemporaryDirectory temporary = TRY(TemporaryDirectory::beside(target.string()));
  const fs::path fresh = temporary.path() / "new", discard = temporary.path() / "old";
  for (const Extract& extract : extracts) {
    TRY(coreml::write_directory((fresh / extract.name).string(), extract.files));
  }
  auto made = TRY(OutputDirectory::create(target.string()));
  TRY(make_directories(discard.string()));
  std::vector<ExtractedPackage> packages;
  for (const Extract& extract : extracts) {
    TRY(replace(fresh / extract.name, target / extract.name, discard / extract.name));
    packages.push_back(
        {(fs::path(directory) / extract.name / extract.package).string(), extract.bytes});
  }
  made.keep();
  parent.keep();
  return packages;
}

}  // namespace diptych::tools
