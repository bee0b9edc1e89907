// The table of operations: what both sides of the project know about an op stands here, once.
// Semantics: docs/formats/mil_ops.md. Source: coremltools' MIL op definitions (iOS 18 opset).
//
// Operations with a dot in their name are our own dialect's and never reach a file.
// diptych.graph_break(values=[...]) hands its n values through as n results; it marks where the
// exporter cuts a function into partitions. The cpu.… operations are what fusions for the engine
// make of groups of operations (engine/fuse/fuse.h).
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

// Checks parameters (known, required, variadic, constant) against the table and infers the types
// of the results; op.results is not looked at, except to name the operation in errors. Errors name
// the operation and parameter. Operations outside the table are Unsupported. Safe on operands that
// come from a file: any types, shapes and bindings (values themselves must be live).
Result<std::vector<TensorType>> infer(const Op& op);

}  // namespace diptych::mil
