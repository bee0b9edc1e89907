// A pickle reader that builds data and runs nothing.
//
// Pickle is a program for a stack machine that may call any Python function. This one knows only
// the opcodes and the few globals that a state dict is made of, and never calls anything: what
// Python would call becomes a value that says so. Source: CPython's pickletools (protocols 2 to 5);
// torch.save's use of it in docs/formats/torch.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tensor/type.h"

namespace diptych::checkpoint {

// A place in Pickle::values.
using PickleId = uint32_t;

// One Python object. `items` of a Tuple or List are its elements; of a Dict its keys and values in
// turn (an OrderedDict is a Dict); of a Call the callee (a Global) and the tuple of arguments; of a
// PersistentId the id alone. Each item was once on the stack by an opcode of its own, so that
// memory is linear in the pickle's size.
struct PickleValue {
  enum class Kind : uint8_t {
    None,
    Bool,
    Int,
    Float,
    Text,
    Tuple,
    List,
    Dict,
    Global,
    Call,
    PersistentId,
  };
  Kind kind = Kind::None;
  uint8_t depth = 0;       // of the values below it
  bool contained = false;  // part of another value: from then on immutable
  int64_t integer = 0;     // Bool, Int
  double number = 0;       // Float
  std::string_view text;   // Text: points into the pickle; Global: "module name"
  std::vector<PickleId> items;
};

std::string_view name(PickleValue::Kind kind);

// The outcome of a pickle. Values may be shared, but never contain themselves, and none is nested
// deeper than kMaxPickleDepth.
struct Pickle {
  std::vector<PickleValue> values;
  PickleId root = 0;

  const PickleValue& operator[](PickleId id) const { return values[id]; }
};

constexpr int kMaxPickleDepth = 64;
// What a state dict of 100,000 tensors needs, with a margin; memory is bounded by these.
constexpr uint64_t kMaxPickleBytes = 32 << 20;
constexpr size_t kMaxPickleValues = 4 << 20;

// Reads a whole pickle; texts of the result point into `pickle`. An opcode or global outside of
// what a state dict needs is Unsupported and named. Errors give the offset in the pickle.
Result<Pickle> unpickle(Bytes pickle);

// The element type of a storage class ("torch HalfStorage"), if the global is one.
std::optional<DType> storage_dtype(std::string_view global);
// The class of an element type; empty if torch has none that is accepted.
std::string_view storage_class(DType dtype);

}  // namespace diptych::checkpoint
