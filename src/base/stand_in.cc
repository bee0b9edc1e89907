#include "base/stand_in.h"

#include <filesystem>
#include <system_error>

#include "base/in_quotes.h"

namespace diptych {

namespace fs = std::filesystem;

bool is_there(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

Status refuse_dead_link(const std::string& path) {
  std::error_code code;
  if (!fs::is_symlink(fs::symlink_status(path, code))) return {};
  if (fs::status(path, code).type() != fs::file_type::not_found) return {};
  const std::string target = fs::read_symlink(path, code).string();
  return fail(ErrorCode::Io,
              "is a link to {}, where there is no file; fetch it, or copy the link's target",
              in_quotes(target));
}

Status refuse_lfs_pointer(Bytes file) {
  constexpr std::string_view kBegin = "version https://git-lfs.github.com/spec/";
  if (!as_text(file).starts_with(kBegin)) return {};
  return unsupported("is a Git LFS pointer, not the file itself; fetch that with git lfs pull");
}

}  // namespace diptych
