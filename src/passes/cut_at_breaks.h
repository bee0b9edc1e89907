// Cuts a function into partitions at its graph breaks: each becomes a delegate of the method.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::passes {

// A value that a partition takes or gives: an input of the method, or what a partition hands to
// later ones or to the method's outputs.
struct BoundaryValue {
  std::string name;
  TensorType type;
};

// One piece of a method as a function of its own, named as the method is.
struct Partition {
  std::unique_ptr<mil::Function> function;
  // For each input and output of `function`, its index in CutMethod::values.
  std::vector<size_t> inputs, outputs;
};

// A method taken apart. Its values are numbered: first the method's inputs in their order, then the
// outputs of the partitions in execution order, so every value exists before it is used.
struct CutMethod {
  std::string name;
  size_t input_count = 0;
  std::vector<BoundaryValue> values;
  std::vector<Partition> partitions;  // in execution order
  // The method's outputs, as indices in `values`; an input handed straight through is one of the
  // first input_count.
  std::vector<size_t> outputs;
};

// The order of the partitions' inputs and outputs, by name, where it matters to the caller. Those
// named come first, in this order; the others follow in derived order. Names that a partition does
// not have are passed over, so one list serves all partitions.
struct CutOrder {
  std::vector<std::string> inputs;   // derived: order of first use
  std::vector<std::string> outputs;  // derived: order of production
};

// Cuts where the operations diptych.graph_break stand in the list of operations: what comes before
// one and what comes after it are different partitions; breaks with nothing in between count as
// one, and without any the whole function is one partition. The breaks themselves vanish: their
// results are their operands, but in later partitions they give the inputs their names.
//
// Operations that compute from constants alone (dequantisation) have no place in that order: every
// partition gets those it uses. Constants are copied, weights shared. Operations that contribute to
// no output are dropped. A method output that is a constant is an error: no partition would
// produce it.
Result<CutMethod> cut_at_breaks(const mil::Function& function, const CutOrder& order = {});

}  // namespace diptych::passes
