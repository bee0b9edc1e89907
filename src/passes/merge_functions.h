// Gathers the partitions of several methods into packages, whose functions share weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"
#include "passes/cut_at_breaks.h"

namespace diptych::passes {

// Upstream's multimethod_weight_sharing_strategy. OnePackage is what upstream proposed as ONE_BLOB.
enum class WeightSharing : uint8_t {
  Positional,  // partition i of every method goes into package i
  OnePackage,  // every partition of every method goes into one package
  Disabled,    // every partition of every method is a package of its own
};

// One Core ML package to be written.
struct Package {
  struct Member {
    size_t method, partition;  // indices into the methods and their partitions
  };
  mil::Program program;
  std::vector<Member> members;  // for each function of the program
};

// Moves the partitions' functions out of `methods` into packages; their bindings stay in `methods`.
//
// With positional sharing, partition i of every method goes into package i, and functions are named
// after the methods. With one package, functions stand in order of methods and then partitions, and
// are named "{method}__{partition}"; methods of one partition each get what positional sharing
// gives. A package of one function calls it "main", as upstream's files do: that is each partition
// when sharing is disabled, or positional and there is one method.
//
// Errors: two methods of a name; positional sharing of methods with different numbers of
// partitions.
Result<std::vector<Package>> merge_functions(std::vector<CutMethod>& methods,
                                             WeightSharing sharing);

// Packed bytes of the numeric constants of a program's functions, to tell what sharing saves.
struct ConstantBytes {
  uint64_t total = 0;   // each function on its own
  uint64_t unique = 0;  // each weight once

  uint64_t shared() const { return total - unique; }
};
ConstantBytes count_constant_bytes(const mil::Program& program);

}  // namespace diptych::passes
