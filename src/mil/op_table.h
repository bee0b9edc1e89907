// The table of operations: what both sides of the project know about an op stands here, once.
// Semantics: docs/formats/mil_ops.md. Source: coremltools' MIL op definitions (iOS 18 opset).
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::mil {

struct ParamSpec {
  std::string_view name;
  bool required = true;
  bool variadic = false;   // binds one or more values
  bool constant = false;   // must be a compile-time constant
};

struct OpSpec {
  std::string_view type;
  std::span<const ParamSpec> params;
  // Types of the results from the operands; checks the operands' types as it goes.
  Result<std::vector<TensorType>> (*infer)(const Op& op);
};

// All operations, sorted by type.
std::span<const OpSpec> op_table();
// The entry of an operation, or null when it is not in the table.
const OpSpec* find_op(std::string_view type);

// Checks parameters (known, required, variadic, constant) against the table and infers the types
// of the results. Errors name the operation and parameter. Unknown operations are Unsupported.
Result<std::vector<TensorType>> infer(const Op& op);

}  // namespace diptych::mil
