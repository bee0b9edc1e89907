// Which functions use each weight that a file stores, and why a weight is not stored once for all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/inspect.h"

namespace diptych::tools {

// Why a weight is not shared by all methods that could use it (passes/sharing.h).
enum class Unshared : uint8_t {
  No,            // it is
  SameContents,  // another weight has the same bytes, in its package too: it could have been shared
  OtherType,     // the others have one of its name in another format
  OtherShape,    // or of another shape, such as pieces of another size
  NoTwin,        // the others have none of its name
};
std::string_view name(Unshared why);

struct FileWeight {
  size_t package = 0;
  std::string name;  // of the constant in the first function that uses it
  TensorType type;
  uint64_t bytes = 0;
  std::vector<std::string> functions;  // that use it, sorted
  Unshared why = Unshared::No;
  std::string
      twin;  // the other weight that `why` is about, with its package and function; or empty
};

struct Sharing {
  std::vector<FileWeight> weights;  // the largest first
  uint64_t bytes = 0;               // of all
  uint64_t shared_bytes = 0;        // of those that several functions use
  uint64_t unshared_bytes = 0;      // of those that have a reason not to be shared
};

// Contents are read where only they can tell.
Sharing sharing_of(const Inspection& inspection);

}  // namespace diptych::tools
