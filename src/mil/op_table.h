// The table of operations: all that exporter and engine both need to know about an operation.
// Semantics: docs/formats/mil_ops.md. Source: coremltools' MIL op definitions (iOS 18 opset).
//
// Operations with a dot in their name are our own dialect's and never reach a file.
// diptych.graph_break(values=[...]) passes its n values on as n results; it marks where the
// exporter cuts a function into partitions. The engine's fusions replace groups of operations by
// the cpu.… operations (engine/fuse/fuse.h).
//
// To add an operation: a line in op_table.cc (parameters, inference), its inference in one of
// op_infer_*.cc, a case in test/mil/op_infer_test.cc.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::mil {

// Tensors of a higher rank are refused: passes and kernels may use arrays of this size.
inline constexpr int64_t kMaxRank = 8;

// One parameter of an operation.
struct ParamSpec {
  std::string_view name;
  bool required = true;
  bool variadic = false;  // binds one or more values
  bool constant = false;  // must be a compile-time constant
};

// One operation: its parameters in the order of documentation, and the types of its results.
struct OpSpec {
  std::string_view type;
  std::span<const ParamSpec> params;
  // For infer() alone: relies on operands that have been checked against `params`.
  Result<std::vector<TensorType>> (*infer)(const Op& op);
};

// All operations, sorted by type.
std::span<const OpSpec> op_table();
// The entry of an operation, or null when it is not in the table.
const OpSpec* find_op(std::string_view type);

// Checks the parameters (known, required, variadic, constant) against the table, and returns the
// inferred types of the results. op.results only serves to name the operation in errors. It is safe
// on operands from a file, with any types, shapes and bindings; the values themselves must exist.
// Errors name the operation and the parameter; Unsupported for operations outside the table.
Result<std::vector<TensorType>> infer(const Op& op);

}  // namespace diptych::mil
