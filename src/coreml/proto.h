// The messages of a Core ML model file, as far as ML Programs need them, with their field numbers
// (coremltools, mlmodel/format/{Model,FeatureTypes,MIL}.proto; docs/formats/mlpackage.md). Private
// to src/coreml.
//
// Text and raw bytes are views of the file, which must outlive the messages. A oneof is a variant
// or, where its contents do not matter, the number of the field that is set. Fields that diptych
// does not use are left out. No message contains itself, so reading needs no limit of depth.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace diptych::coreml::proto {

template <class T>
using Map = std::map<std::string_view, T>;
// The fields of an entry of a map.
enum MapField : uint32_t { kKey = 1, kValue = 2 };

struct Dimension {
  enum Field : uint32_t { kConstant = 1, kUnknown = 2 };
  enum ConstantField : uint32_t { kSize = 1 };
  std::optional<uint64_t> size;  // none: not fixed
};

struct TensorType {
  enum Field : uint32_t { kDataType = 1, kRank = 2, kDimensions = 3 };
  int32_t data_type = 0;  // proto_types.cc lists them
  int64_t rank = 0;
  std::vector<Dimension> dimensions;
};

struct ValueType {
  enum Field : uint32_t { kTensor = 1, kList = 2, kTuple = 3, kDictionary = 4, kState = 5 };
  uint32_t type = 0;
  TensorType tensor;
};

struct NamedValueType {
  enum Field : uint32_t { kName = 1, kType = 2 };
  std::string_view name;
  ValueType type;
};

// The elements of an immediate tensor: alternative n is field n, 1 to 7.
struct TensorValue {
  enum ElementsField : uint32_t { kValues = 1 };
  using Floats = std::vector<float>;
  using Ints = std::vector<int32_t>;
  using Bools = std::vector<uint8_t>;
  using Strings = std::vector<std::string_view>;
  using LongInts = std::vector<int64_t>;
  using Doubles = std::vector<double>;
  using Raw = std::string_view;
  std::variant<std::monostate, Floats, Ints, Bools, Strings, LongInts, Doubles, Raw> value;
  enum Field : uint32_t {
    kFloats = 1,
    kInts = 2,
    kBools = 3,
    kStrings = 4,
    kLongInts = 5,
    kDoubles = 6,
    kRaw = 7
  };
};

// A list has tensors alone: its entries are values, but of those only what an immediate one holds
// is read.
struct ImmediateValue {
  enum Field : uint32_t { kTensor = 1, kTuple = 2, kList = 3, kDictionary = 4 };
  enum ListField : uint32_t { kEntries = 1 };
  uint32_t value = 0;
  TensorValue tensor;
  std::vector<TensorValue> list;
};

struct BlobFileValue {
  enum Field : uint32_t { kFileName = 1, kOffset = 2 };
  std::string_view file_name;
  uint64_t offset = 0;  // of the record in weight.bin, not of the data
};

struct Value {
  enum Field : uint32_t { kType = 2, kImmediate = 3, kBlobFile = 5 };
  ValueType type;
  std::variant<std::monostate, ImmediateValue, BlobFileValue> value;
};

struct Binding {
  enum Field : uint32_t { kName = 1, kValue = 2 };
  std::variant<std::monostate, std::string_view, Value> binding;
};

struct Argument {
  enum Field : uint32_t { kArguments = 1 };
  std::vector<Binding> arguments;
};

struct Operation {
  enum Field : uint32_t { kType = 1, kInputs = 2, kOutputs = 3, kBlocks = 4, kAttributes = 5 };
  std::string_view type;
  Map<Argument> inputs;
  std::vector<NamedValueType> outputs;
  bool has_blocks = false;
  Map<Value> attributes;
};

struct Block {
  enum Field : uint32_t { kOutputs = 2, kOperations = 3 };
  std::vector<std::string_view> outputs;
  std::vector<Operation> operations;
};

struct Function {
  enum Field : uint32_t { kInputs = 1, kOpset = 2, kBlockSpecializations = 3 };
  std::vector<NamedValueType> inputs;
  std::string_view opset;
  Map<Block> block_specializations;  // by opset
};

struct Program {
  enum Field : uint32_t { kVersion = 1, kFunctions = 2 };
  int64_t version = 0;
  Map<Function> functions;
};

struct ArrayFeatureType {
  enum Field : uint32_t {
    kShape = 1,
    kDataType = 2,
    kEnumeratedShapes = 21,
    kShapeRange = 31,
    kIntDefault = 41,
    kFloatDefault = 51,
    kDoubleDefault = 61
  };
  std::vector<int64_t> shape;
  int32_t data_type = 0;  // proto_types.cc lists them
  uint32_t flexibility = 0;
  double default_value = 0;  // of every element, when the feature is optional
};

struct FeatureType {
  enum Field : uint32_t {
    kInt64 = 1,
    kDouble = 2,
    kString = 3,
    kImage = 4,
    kMultiArray = 5,
    kDictionary = 6,
    kSequence = 7,
    kState = 8,
    kIsOptional = 1000
  };
  uint32_t type = 0;
  ArrayFeatureType multi_array;
  bool is_optional = false;
};

struct FeatureDescription {
  enum Field : uint32_t { kName = 1, kType = 3 };
  std::string_view name;
  FeatureType type;
};

struct FunctionDescription {
  enum Field : uint32_t { kName = 1, kInput = 2, kOutput = 3, kState = 6 };
  std::string_view name;
  std::vector<FeatureDescription> input, output, state;
};

struct Metadata {
  enum Field : uint32_t { kUserDefined = 100 };
  Map<std::string_view> user_defined;
};

struct ModelDescription {
  enum Field : uint32_t {
    kInput = 1,
    kOutput = 10,
    kState = 13,
    kFunctions = 20,
    kDefaultFunctionName = 21,
    kMetadata = 100
  };
  std::vector<FeatureDescription> input, output, state;
  std::vector<FunctionDescription> functions;
  std::string_view default_function_name;
  Metadata metadata;
};

struct Model {
  // Every field from kFirstKind on is a kind of model; model_support.cc names them.
  enum Field : uint32_t {
    kSpecificationVersion = 1,
    kDescription = 2,
    kIsUpdatable = 10,
    kFirstKind = 200,
    kMlProgram = 502
  };
  int32_t specification_version = 0;
  ModelDescription description;
  bool is_updatable = false;
  uint32_t kind = 0;
  Program ml_program;
};

}  // namespace diptych::coreml::proto
