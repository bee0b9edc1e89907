// The same token in two calls: where its elements are in values of functions that take other
// numbers of tokens and have caches of other lengths.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "compare/calls.h"

namespace diptych::compare {

// Which axes of a function's values are of tokens, and which of the columns of attention: slots of
// the cache and then new tokens. Axes are found along the data flow.
class Axes {
 public:
  // Without a contract there are none.
  Axes(const Function& function, const contract::Description* model);

  struct Of {
    std::optional<size_t> token, column;
    size_t layers = 0;  // of a column axis: the class of layers
  };
  Of of(const mil::Value& value) const;

 private:
  std::unordered_map<const mil::Value*, Of> axes_;
};

// How far a value of one call is from its counterpart's of another.
struct Deviation {
  double relative = 0;  // of the difference's norm to the values' norm; infinite with NaN
  double largest = 0;   // of |a - b|
  double norm = 0;      // root mean square of a
};

// One side of a comparison: a call, and the axes of its function.
struct Side {
  const contract::Description* model = nullptr;  // null: whole values are compared
  const Call* call = nullptr;
  const Axes* axes = nullptr;
};

// Compares the rows of the token at `position`. Nothing when the values have no rows in common:
// shapes that differ in more than tokens and columns, or of another token.
std::optional<Deviation> deviation(const Side& a, const mil::Value& value_a,
                                   const std::vector<float>& data_a, const Side& b,
                                   const mil::Value& value_b, const std::vector<float>& data_b,
                                   int64_t position);

}  // namespace diptych::compare
