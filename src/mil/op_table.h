// The table of operations: all that exporter and engine both need to know about an operation.
// Semantics: docs/formats/mil_ops.md. Source: coremltools' MIL op definitions, iOS 15 to 26.
//
// A row holds from one opset to another; an operation whose parameters were replaced in a later
// opset has a row for each definition. Parameters that were only added say since when. Element
// types are those of the last opset: older ones allow fewer, and accepting more harms nobody.
//
// Operations with a dot in their name are our own dialect's and never reach a file.
// diptych.graph_break(values=[...]) passes its n values on as n results; it marks where the
// exporter cuts a function into partitions. The engine's fusions replace groups of operations by
// the cpu.… operations (engine/fuse/fuse.h).
//
// To add an operation: a row in op_table.cc (parameters, types, opsets), its inference in one of
// op_infer_*.cc unless a family has it, a case in test/mil/op_infer_test.cc.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "mil/ir.h"
#include "mil/opset.h"

namespace diptych::mil {

// Tensors of a higher rank are refused: passes and kernels may use arrays of this size.
inline constexpr int64_t kMaxRank = 8;

// A set of element types.
class TypeSet {
 public:
  template <class... Types>
  constexpr explicit TypeSet(Types... types) : bits_((uint32_t{0} | ... | bit(types))) {}
  constexpr bool contains(DType dtype) const { return (bits_ & bit(dtype)) != 0; }
  constexpr friend TypeSet operator|(TypeSet a, TypeSet b) {
    a.bits_ |= b.bits_;
    return a;
  }

 private:
  static constexpr uint32_t bit(DType dtype) { return uint32_t{1} << static_cast<uint32_t>(dtype); }
  uint32_t bits_ = 0;
};

inline constexpr TypeSet kBool{DType::Bool};
inline constexpr TypeSet kFloats{DType::F16, DType::F32};
inline constexpr TypeSet kNumbers = kFloats | TypeSet{DType::Int32};
// Integers that are computed with: indices, and elements that are moved.
inline constexpr TypeSet kIntegers{DType::Int8, DType::Int16, DType::Int32, DType::UInt8,
                                   DType::UInt16};
// Whatever can be the element of a computed value.
inline constexpr TypeSet kElements = kFloats | kIntegers | kBool;

// One parameter of an operation.
struct ParamSpec {
  std::string_view name;
  // The element types; nothing: whatever the operation's inference accepts.
  std::optional<TypeSet> types = std::nullopt;
  // Parameters of an operation with the same letter have the same element type.
  char alike = 0;
  bool required = true;
  bool variadic = false;  // binds one or more values
  bool constant = false;  // must be a compile-time constant
  // With `constant`: or what a constexpr operation makes of constants.
  bool unpacked = false;
  bool cast = false;             // with `constant`: or a cast of a constant
  bool may_be_empty = false;  // a list that may have no elements
  Opset since = kFirstOpset;

  // The same parameter, of operations in this opset or later ones.
  constexpr ParamSpec from(Opset opset) const {
    ParamSpec spec = *this;
    spec.since = opset;
    return spec;
  }
};

// One operation: its parameters in the order of documentation, and the types of its results.
struct OpSpec {
  std::string_view type;
  std::span<const ParamSpec> params;
  // For infer() alone: relies on operands that have been checked against `params`.
  Result<std::vector<TensorType>> (*infer)(const Op& op);
  Opset since = kFirstOpset, until = kLastOpset;
};

// Whether files hold the parameters of a definition as attributes: the constexpr operations before
// iOS 18, whose operands are all constants.
bool has_attributes(const OpSpec& spec);

// All definitions, sorted by type and then by opset.
std::span<const OpSpec> op_table();
// The definition of an operation in an opset, or null when there is none.
const OpSpec* find_op(std::string_view type, Opset opset = kLastOpset);
// Whether any opset has the operation. Others can be held, but not inferred.
bool is_known_op(std::string_view type);
// The parameter of a definition, or null when it has none of that name.
const ParamSpec* find_param(const OpSpec& spec, std::string_view name);

// Checks the parameters (known, required, variadic, constant, their types) against the table, and
// returns the inferred types of the results. op.results only serves to name the operation in
// errors. It is safe on operands from a file, with any types, shapes and bindings; the values
// themselves must exist. Errors name the operation and the parameter; Unsupported for operations
// outside the table and for those that the opset does not have.
Result<std::vector<TensorType>> infer(const Op& op, Opset opset = kLastOpset);

}  // namespace diptych::mil
