// Cuts a function into partitions at its graph breaks: each becomes a delegate of the method.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::passes {

// A value on the border of a partition: an input of the method, or a value that a partition passes
// to later ones or to the method's outputs.
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

// The order of the partitions' inputs and outputs, where it matters to the caller. Named ones come
// first, in this order; the others follow in the derived order. Names that a partition does not
// have are ignored, so one list serves all partitions.
struct CutOrder {
  std::vector<std::string> inputs;   // derived: order of first use
  std::vector<std::string> outputs;  // derived: order of production
};

// Cuts the list of operations at each diptych.graph_break: the operations before and after it go to
// different partitions. Breaks with nothing in between count as one; a function without breaks is
// one partition. The breaks themselves vanish. Their results become their operands, and give the
// inputs of later partitions their names.
//
// Operations that compute from constants alone (dequantisation) go to every partition that uses
// them. Constants are copied, and weights stay shared. Operations that no output needs are dropped.
// Errors: an output of the method is a constant, which no partition would produce.
Result<CutMethod> cut_at_breaks(const mil::Function& function, const CutOrder& order = {});

}  // namespace diptych::passes
