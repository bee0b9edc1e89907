// The weights that counterparts compute with: how they are stored, and how far they are apart once
// they are dequantised.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "compare/canonical.h"

namespace diptych::compare {

// A weight as an operation sees it: one value, or the pieces that a linear was split into, one
// below the other.
struct WeightOf {
  std::string param;  // "weight", "x", "y"
  std::vector<const mil::Value*> pieces;

  const std::string& name() const { return pieces.front()->name; }
  int64_t rows() const;
};

// The weights of an operation: constants of more than a few elements. Biases of zeros, which some
// exporters write and some leave out, count as none.
std::vector<WeightOf> weights_of(const Node& node);

// "int4 in groups of 32", "fp16", "4-bit palette".
std::string form_of(const mil::Value& weight);
// Bits of an element as it is stored, by its codes; 16 for fp16.
int stored_bits(const mil::Value& weight);
// Bytes as stored, with scales and tables.
uint64_t stored_bytes(const mil::Value& weight);

struct WeightDistance {
  double relative = 0;  // of the difference's norm to b's norm
  double ratio = 1;     // of a's norm to b's
  int64_t worst_row = 0;
};
// Errors: shapes that differ (InvalidArgument), weights that cannot be read.
Result<WeightDistance> distance(const WeightOf& a, const WeightOf& b, ThreadPool& pool);

}  // namespace diptych::compare
