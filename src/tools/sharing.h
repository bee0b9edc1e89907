// Which functions use each weight that a file stores, and why a weight is not stored once for all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/inspect.h"

namespace diptych::tools {

// Why not all functions of a package use a weight.
enum class Unshared : uint8_t {
  No,            // they do, or there is one function
  SameContents,  // another weight has the same bytes: it could have been shared
  OtherType,     // the others have one of its name in another format
  OtherShape,    // or of another shape, such as pieces of another size
  NoTwin,        // the others have none of its name
};
std::string_view name(Unshared why);

struct StoredWeight {
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
  std::vector<StoredWeight> weights;  // the largest first
  uint64_t bytes = 0;                 // of all
  uint64_t shared_bytes = 0;          // of those that several functions use
  uint64_t unshared_bytes = 0;        // of those that could be, or have no reason not to be
};

// Weights below this are shapes and scalars, which need no reason.
inline constexpr uint64_t kWorthSharing = 1 << 10;

// Contents are read where only they can tell: of weights that not all functions use.
Sharing sharing_of(const Inspection& inspection);

}  // namespace diptych::tools
