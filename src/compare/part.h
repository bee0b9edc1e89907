// Where two runs part: the operations of two aligned functions, compared by what they compute.
#pragma once

#include <string>
#include <vector>

#include "compare/align.h"
#include "compare/rows.h"

namespace diptych::compare {

// The results of one pair of counterparts.
struct PairError {
  size_t a = 0, b = 0;  // nodes
  Deviation deviation;
  // The largest relative deviation of what the operation reads, as far as it is known.
  double inherited = 0;
};

struct Parting {
  std::vector<PairError> errors;  // of all pairs that can be compared, in the order of a
  // The first whose results are further apart than `tolerance`, though what it reads is not.
  std::optional<PairError> first;
  // By layer, at its end: the relative deviation of its last operation that can be compared.
  std::vector<std::pair<size_t, double>> by_layer;
};

struct PartingOptions {
  double tolerance = 1e-3;
  engine::Numerics numerics_a = engine::Numerics::Precise, numerics_b = engine::Numerics::Precise;
  uint64_t most_bytes = 512 << 20;  // of values that are held at a time, on each side
};

// A call's inputs beside the call; `call` null: whole values are compared.
struct Evaluation {
  const Function* function = nullptr;
  const contract::Description* model = nullptr;
  const Call* call = nullptr;
  std::vector<Feed> feeds;
};

// Runs both and compares the rows of the token at `position`.
Result<Parting> part(const Alignment& alignment, const Evaluation& a, const Evaluation& b,
                     int64_t position, const PartingOptions& options, ThreadPool& pool);

}  // namespace diptych::compare
