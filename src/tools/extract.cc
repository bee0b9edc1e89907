#include "tools/extract.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/in_quotes.h"
#include "base/mapped_ranges.h"
#include "base/output_directory.h"
#include "base/printable.h"
#include "coreml/memory_fs.h"
#include "coreml/package.h"
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

// Whether a directory can have the name, and a terminal or script can be shown it as it is.
Status check_name(std::string_view what, const std::string& name) {
  constexpr size_t kLongestName = 255;  // of file systems
  TRY(coreml::check_relative_path(name, what));
  if (name.find('/') != name.npos || name.size() > kLongestName || printable(name) != name) {
    return invalid_data("{}: {} cannot be the name of a directory", what, in_quotes(name));
  }
  return {};
}

Result<Extract> read_blob(std::string name, Bytes blob, std::shared_ptr<const void> owner) {
  Extract extract;
  extract.name = std::move(name);
  coreml::MemoryFs memory_fs = TRY(coreml::read_memory_fs(blob, std::move(owner)));
  if (!memory_fs.root_name.empty()) TRY(check_name("name of the root", memory_fs.root_name));
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
        TRY(within(where, check_name("key of named data", name)));
        if (names.contains(name)) continue;
      }
      names.insert(name);
      extracts.push_back(TRY(within(where, read_blob(std::move(name), payload.blob, owner))));
    }
  }
  return extracts;
}

bool is_package(const fs::path& directory) {
  std::error_code ignored;
  const fs::path extension = directory.extension();
  return (extension == ".mlpackage" || extension == ".modelpackage") &&
         fs::is_regular_file(fs::symlink_status(directory / "Manifest.json", ignored));
}

// Refuses what a directory holds besides packages and the JSON files that delegates keep beside
// them; counts the packages.
Status count_packages(const fs::path& directory, int depth, size_t& packages) {
  constexpr int kDeepest = 16;
  std::error_code code;
  fs::directory_iterator entry(directory, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
    const fs::path& path = entry->path();
    const fs::file_type type = entry->symlink_status(code).type();
    if (type == fs::file_type::directory && depth < kDeepest) {
      if (is_package(path)) {
        ++packages;
      } else {
        TRY(count_packages(path, depth + 1, packages));
      }
    } else if (type != fs::file_type::regular || path.extension() != ".json") {
      return invalid_argument("it holds {}", in_quotes(path.filename().string()));
    }
  }
  if (code) return fail(ErrorCode::Io, "cannot list it: {}", code.message());
  return {};
}

// Refuses to replace what is not an earlier extract: names come from the file, which may be
// anybody's.
Status check_replaceable(const fs::path& path) {
  std::error_code ignored;
  const fs::file_type type = fs::symlink_status(path, ignored).type();
  if (type == fs::file_type::not_found) return {};
  size_t packages = 0;
  Status status = type == fs::file_type::directory ? count_packages(path, 0, packages)
                                                   : Status(invalid_argument("it is no directory"));
  if (status && packages == 0) status = invalid_argument("it holds no .mlpackage");
  if (!status) {
    status.error().message = "expected nothing or an earlier extract to replace, but " +
                             status.error().message + "; remove it, or name another directory";
  }
  return within(path.string(), std::move(status));
}

// Moves a directory to its place; what was there comes to where it was.
Status exchange(const fs::path& from, const fs::path& to) {
  // In one step, where the file system can.
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return {};
  std::error_code code;
  fs::path old = from;
  old += ".old";
  const bool existed = fs::exists(fs::symlink_status(to, code));
  if (existed) fs::rename(to, old, code);
  if (!existed || !code) {
    fs::rename(from, to, code);
    if (!code) return {};
    std::error_code ignored;
    if (existed) fs::rename(old, to, ignored);
  }
  return within<void>(to.string(), fail(ErrorCode::Io, "cannot replace: {}", code.message()));
}

// The directory that a path names, absolute and without links.
Result<fs::path> real_directory(const std::string& directory) {
  if (directory.empty()) return invalid_argument("expected the name of a directory, found \"\"");
  std::error_code code;
  // "out/" and "out" are the same; a neighbour of the latter is outside of it.
  fs::path target = fs::absolute(directory, code).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  if (fs::exists(target, code)) {
    if (!fs::is_directory(target, code)) {
      return within<fs::path>(directory,
                              invalid_argument("expected a directory to write to, found a file"));
    }
    target = fs::canonical(target, code);
  }
  if (code && code != std::errc::no_such_file_or_directory) {
    return within<fs::path>(directory, fail(ErrorCode::Io, "cannot open: {}", code.message()));
  }
  return target;
}

}  // namespace

Result<std::vector<ExtractedPackage>> extract(const std::string& path,
                                              const std::string& directory) {
  if (coreml::is_model_path(path)) {
    return within<std::vector<ExtractedPackage>>(
        path, invalid_argument("expected a .pte to take packages from, found a Core ML model"));
  }
  auto file = TRY(MappedFile::open(path));
  const pte::Program program = TRY(within(path, pte::read(file->bytes())));
  const std::vector<Extract> extracts = TRY(within(path, collect(program, file)));

  const fs::path target = TRY(real_directory(directory));
  for (const Extract& extract : extracts) TRY(check_replaceable(target / extract.name));
  auto parent = TRY(OutputDirectory::create(target.parent_path().string()));
  const TemporaryDirectory temporary = TRY(TemporaryDirectory::beside(target.string()));
  const fs::path fresh = fs::path(temporary.path()) / "new";
  for (const Extract& extract : extracts) {
    TRY(coreml::write_directory((fresh / extract.name).string(), extract.files));
  }
  TRY(check_mapped_files());
  std::error_code code;
  if (fs::exists(target, code)) {
    for (const Extract& extract : extracts) {
      TRY(exchange(fresh / extract.name, target / extract.name));
    }
  } else {  // a new directory appears as a whole
    TRY(exchange(fresh, target));
  }
  std::vector<ExtractedPackage> packages;
  for (const Extract& extract : extracts) {
    packages.push_back(
        {(fs::path(directory) / extract.name / extract.package).string(), extract.bytes});
  }
  parent.keep();
  return packages;
}

}  // namespace diptych::tools
