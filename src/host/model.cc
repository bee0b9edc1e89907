#include "host/model.h"

#include <filesystem>

#include "host/open.h"
#include "pte/header.h"

namespace diptych::host {

Result<std::shared_ptr<const Model>> Model::open(const std::string& path, const Options& options) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_core_ml(path, options);
  auto file = TRY(MappedFile::open(path));
  // A program begins with the offset of its root, and has its identifier behind that.
  constexpr std::string_view kIdentifier = "ET12";
  const Bytes bytes = file->bytes();
  const bool is_program = bytes.size() >= 8 && as_text(bytes.subspan(4, 4)) == kIdentifier;
  return is_program ? open_program(path, std::move(file), options) : open_core_ml(path, options);
}

tl::unexpected<Error> no_function(const std::string& path, const std::string& name,
                                  std::vector<std::string> functions) {
  return tl::unexpected(Error{ErrorCode::NotFound, path,
                              fmt::format("no function \"{}\"; the file has", name),
                              std::move(functions)});
}

}  // namespace diptych::host
