#include "executorch/errors.h"

#include <executorch/runtime/platform/log.h>

#include <exception>
#include <new>
#include <string_view>

namespace diptych::plugin {

namespace {

// ExecuTorch cuts messages at 256 bytes, its prefix included.
constexpr size_t kMaxLogLine = 200;

void log_error(std::string_view line) {
  do {
    const std::string part(line.substr(0, kMaxLogLine));
    ET_LOG(Error, "Core ML: %s", part.c_str());
    line.remove_prefix(part.size());
  } while (!line.empty());
}

executorch::runtime::Error code_of(ErrorCode code) {
  using Code = executorch::runtime::Error;
  switch (code) {
    case ErrorCode::InvalidData:
      return Code::InvalidProgram;
    case ErrorCode::Unsupported:
      return Code::NotSupported;
    case ErrorCode::NotFound:
      return Code::NotFound;
    case ErrorCode::InvalidArgument:
    case ErrorCode::Usage:
      return Code::InvalidArgument;
    case ErrorCode::Io:
      return Code::MemoryAllocationFailed;
    case ErrorCode::Cancelled:
    case ErrorCode::Internal:
      break;
  }
  return Code::Internal;
}

}  // namespace

executorch::runtime::Error report(const Error& error) {
  log_error(error.context.empty() ? error.message : error.context + ": " + error.message);
  for (const std::string& item : error.items) log_error("  " + item);
  return code_of(error.code);
}

executorch::runtime::Error report_exception() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    log_error("out of memory");
    return executorch::runtime::Error::MemoryAllocationFailed;
  } catch (const std::exception& exception) {
    log_error(std::string("unexpected: ") + exception.what());
  } catch (...) {
    log_error("unexpected exception");
  }
  return executorch::runtime::Error::Internal;
}

}  // namespace diptych::plugin
