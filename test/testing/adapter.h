// LoRA adapters of random matrices, for tests.
#pragma once

#include <cstdint>
#include <string>

namespace diptych::testing {

// What an adapter of the form of Llamas is made for.
struct AdapterShape {
  size_t layers = 0;
  int64_t dim = 0, kv_dim = 0, hidden = 0;
  int64_t rank = 4;
  double alpha = 6;  // over the rank: how much it adds
};
inline constexpr AdapterShape kDemoShape = {6, 128, 64, 384};

// Writes an adapter of queries, keys and the feed-forward's up and down, and
// returns its directory, which is `name` in the process's own.
std::string write_adapter(const std::string& name, const AdapterShape& shape, uint64_t seed);

}  // namespace diptych::testing
