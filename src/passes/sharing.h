// Which methods use each weight that packages store, and what is not shared: the definition that
// exports are held to by their thresholds and files by theirs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mil/ir.h"

namespace diptych::passes {

// A package by its users.
struct UsedPackage {
  const mil::Program* program = nullptr;
  std::vector<std::vector<size_t>> methods;  // by function: those that run it
};

struct StoredWeight {
  size_t package = 0;
  std::string name;  // of the constant in the first of the functions
  WeightRef weight;
  uint64_t bytes = 0;             // packed
  std::vector<size_t> functions;  // of the package, that use it, rising
  std::vector<size_t> methods;    // that run one of these, rising
  // Whether fewer use it than could: those are all methods, or of a weight that adapters alone use
  // all methods of each such adapter.
  bool unshared = false;
};

// The weights of all packages in their order: constants that a weight file takes (ten elements or
// more) other than int32, whose shapes and indices follow from the number of tokens. `adapters` has
// the adapter of each method; empty: the model's own.
std::vector<StoredWeight> stored_weights(std::span<const UsedPackage> packages,
                                         std::span<const std::string_view> adapters);

}  // namespace diptych::passes
