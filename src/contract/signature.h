// What a method of the contract looks like from outside: its inputs and outputs under the names
// that upstream's runner and Core ML package know them by, and their nesting in Python.
// Source: ExecuTorch, examples/apple/coreml/llama/export_static_llm_coreml.py.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "contract/model.h"
#include "pte/tree_spec.h"

namespace diptych::contract {

struct NamedType {
  std::string name;
  TensorType type;
};

struct Signature {
  std::vector<NamedType> inputs, outputs;  // in the method's order
  Places places;                           // among them
};

// Errors: lengths that are not 1 to 2^24, classes of one cache length.
Result<Signature> signature(const Model& model, const Method& method);

// The arguments and results of upstream's Python model.
struct Trees {
  pte::TreeSpec inputs, outputs;
};
Trees trees(const Model& model, const Method& method);

}  // namespace diptych::contract
