// What the operating system refused, as an error.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"

namespace diptych {

// "path: cannot <action>: <errno's text>".
inline tl::unexpected<Error> system_error(const std::string& path, std::string_view action) {
  const int code = errno;
  auto error = fail(code == ENOENT ? ErrorCode::NotFound : ErrorCode::Io, "cannot {}: {}", action,
                    std::generic_category().message(code));
  return tl::unexpected(std::move(error.value()).within(path));
}

// What a path leads to that is no regular file, as errors call it.
inline const char* kind_of_file(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISLNK(mode)) return "a link";
  return "a device";
}

inline tl::unexpected<Error> out_of_memory(uint64_t size) {
  return fail(ErrorCode::Io, "out of memory: {} bytes asked for", size);
}

}  // namespace diptych
