// Errors and log messages as ExecuTorch hosts know them.
#pragma once

#include <executorch/runtime/core/error.h>

#include "base/error.h"

namespace diptych::plugin {

// Logs the whole error, every item of its list, and gives the code that stands for it:
//   InvalidData      InvalidProgram
//   Unsupported      NotSupported
//   NotFound         NotFound
//   InvalidArgument  InvalidArgument
//   Io               MemoryAllocationFailed (the plug-in opens no files)
//   others           Internal
executorch::runtime::Error report(const Error& error);

// The same for an exception that a library threw: out of memory, or a bug. Call it in a handler.
executorch::runtime::Error report_exception();

}  // namespace diptych::plugin
