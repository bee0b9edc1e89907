// An ExecuTorch program as plain structs: what a .pte file says, without its encoding.
//
// Reader and writer use the same structs: blobs view the mapped file, or are produced while the
// file is written. docs/formats/pte.md explains the fields.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pte/blob.h"
#include "tensor/type.h"

namespace diptych::pte {

// Element types with the file's own numbers; the gaps are reserved or not implemented upstream.
enum class ScalarType : int8_t {
  Byte = 0,
  Char = 1,
  Short = 2,
  Int = 3,
  Long = 4,
  Half = 5,
  Float = 6,
  Double = 7,
  Bool = 11,
  QInt8 = 12,
  QUInt8 = 13,
  QInt32 = 14,
  BFloat16 = 15,
  QUInt4x2 = 16,
  QUInt2x4 = 17,
  Bits16 = 22,
  F8E5M2 = 23,
  F8E4M3FN = 24,
  F8E5M2FNUZ = 25,
  F8E4M3FNUZ = 26,
  UInt16 = 27,
  UInt32 = 28,
  UInt64 = 29,
};

bool is_known(ScalarType type);
// The name of the DType it maps to ("fp16"), else upstream's in lower case ("quint4x2").
std::string_view name(ScalarType type);
int element_size(ScalarType type);  // bytes
// Errors: Unsupported for a type without a counterpart.
Result<DType> dtype_of(ScalarType type);
Result<ScalarType> scalar_type_of(DType dtype);

enum class ShapeDynamism : int8_t { Static = 0, BoundedDynamic = 1, UnboundedDynamic = 2 };
enum class DataLocation : int8_t { Segment = 0, External = 1 };
enum class Device : int8_t { Cpu = 0, Cuda = 1 };

// A place in a planned arena: `memory_id` indexes Method::arena_sizes and is at least 1.
struct Allocation {
  uint32_t memory_id = 1;
  uint64_t offset = 0;  // bytes

  bool operator==(const Allocation&) const = default;
};

// What only unusual tensors have: data outside the file, or another device than the CPU.
struct ExtraTensorInfo {
  std::string qualified_name;
  DataLocation location = DataLocation::Segment;
  Device device = Device::Cpu;
  int8_t device_index = 0;

  bool operator==(const ExtraTensorInfo&) const = default;
};

// A tensor value. Which of four kinds it is follows from `data` and `allocation`:
//   data = 0, no allocation   method input or output: the caller supplies the memory
//   data = 0, allocation      intermediate, in a planned arena
//   data > 0, no allocation   constant: Program::constants[data]
//   data > 0, allocation      mutable, starting as Program::initial_states[data]
// External data (see `extra`) is found by name instead.
struct Tensor {
  ScalarType scalar_type = ScalarType::Float;
  Shape sizes;                     // upper bounds unless Static
  std::vector<uint8_t> dim_order;  // axes from outermost to innermost in memory
  uint32_t data = 0;
  std::optional<Allocation> allocation;
  ShapeDynamism dynamism = ShapeDynamism::Static;
  std::optional<ExtraTensorInfo> extra;

  bool is_constant() const { return data > 0 && !allocation && !is_external(); }
  bool is_external() const { return extra && extra->location == DataLocation::External; }
  bool operator==(const Tensor&) const = default;
};

// A contiguous tensor that the caller supplies.
Result<Tensor> make_tensor(const TensorType& type);
// The type of a tensor. Errors: Unsupported when the scalar type has no dtype, the shape is not
// static, or the axes are not in row-major order.
Result<TensorType> tensor_type(const Tensor& tensor);
// Bytes of a tensor's elements. Errors: negative sizes, overflow.
Result<uint64_t> byte_size(const Tensor& tensor);

// Lists. Those of ints and tensors hold indices of values of the same method, not literals.
struct IntList {
  std::vector<int64_t> items;
  bool operator==(const IntList&) const = default;
};
struct DoubleList {
  std::vector<double> items;
  bool operator==(const DoubleList&) const = default;
};
struct BoolList {
  std::vector<bool> items;
  bool operator==(const BoolList&) const = default;
};
struct TensorList {
  std::vector<int32_t> items;
  bool operator==(const TensorList&) const = default;
};
struct OptionalTensorList {
  std::vector<int32_t> items;  // -1: none
  bool operator==(const OptionalTensorList&) const = default;
};

using None = std::monostate;
using EValue = std::variant<None, int64_t, bool, double, Tensor, std::string, IntList, DoubleList,
                            BoolList, TensorList, OptionalTensorList>;

// Instructions. `args` and the like index Method::values.
struct KernelCall {
  int32_t op = 0;  // index of Method::operators
  std::vector<int32_t> args;
  bool operator==(const KernelCall&) const = default;
};
struct DelegateCall {
  int32_t delegate = 0;       // index of Method::delegates
  std::vector<int32_t> args;  // its inputs, then its outputs; only the backend knows how many
  bool operator==(const DelegateCall&) const = default;
};
struct MoveCall {
  int32_t from = 0, to = 0;
  bool operator==(const MoveCall&) const = default;
};
struct JumpFalseCall {
  int32_t condition = 0;
  int32_t destination = 0;  // index of an instruction
  bool operator==(const JumpFalseCall&) const = default;
};
struct FreeCall {
  int32_t value = 0;
  bool operator==(const FreeCall&) const = default;
};
using Instruction = std::variant<KernelCall, DelegateCall, MoveCall, JumpFalseCall, FreeCall>;

struct Operator {
  std::string name, overload;
  bool operator==(const Operator&) const = default;
};

struct CompileSpec {
  std::string key;
  std::string value;  // any bytes, mostly text
  bool operator==(const CompileSpec&) const = default;
};

// A piece of a method that a backend runs.
struct Delegate {
  std::string backend;  // "CoreMLBackend"
  std::vector<CompileSpec> compile_specs;
  Blob processed;  // the backend's own format
  bool operator==(const Delegate&) const = default;
};

struct ArenaDevice {
  int32_t arena = 0;
  Device device = Device::Cpu;
  int8_t device_index = 0;
  bool operator==(const ArenaDevice&) const = default;
};

// An entry point ("execution plan"). One without inputs and instructions is a constant method:
// running it means reading its outputs (constant_method.h).
struct Method {
  std::string name;
  std::string input_spec, output_spec;  // pytrees as JSON (tree_spec.h); not needed to run
  std::vector<EValue> values;
  std::vector<int32_t> inputs, outputs;  // indices of values, in flattened order
  std::vector<Instruction> instructions;
  std::vector<Operator> operators;
  std::vector<Delegate> delegates;
  std::vector<int64_t> arena_sizes = {0};  // bytes; [0] is reserved
  std::vector<ArenaDevice> arena_devices;  // empty: all on the CPU

  bool operator==(const Method&) const = default;
};

struct NamedData {
  std::string key;
  Blob data;
  bool operator==(const NamedData&) const = default;
};

// Where things lay in the file that was read, for people. The writer ignores it.
struct Layout {
  struct Segment {
    uint64_t offset = 0;  // from the start of the file
    uint64_t size = 0;
    bool operator==(const Segment&) const = default;
  };
  uint64_t file_size = 0;
  uint64_t program_size = 0;
  std::vector<Segment> segments;
  bool operator==(const Layout&) const = default;
};

struct Program {
  std::vector<Method> methods;
  std::vector<Blob> constants = {Blob{}};       // [0] is an empty placeholder
  std::vector<Blob> initial_states = {Blob{}};  // [0] likewise
  std::vector<NamedData> named_data;
  Layout layout;

  bool operator==(const Program&) const = default;
};

// Return nullptr when there is nothing of that name.
const Method* find_method(const Program& program, std::string_view name);
const Blob* find_named_data(const Program& program, std::string_view key);

// Adds named data, or replaces the data of that key.
void set_named_data(Program& program, std::string_view key, Blob data);

// Returns the index of a constant with these bytes, which is added unless there is an equal one.
uint32_t add_constant(Program& program, Blob bytes);

}  // namespace diptych::pte
