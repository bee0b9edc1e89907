// What a .pte holds, as plain structs: the program and, for Core ML, the packages inside it; or
// what a Core ML model holds.
//
// Any program can be inspected; delegates of other backends stay opaque. Rendered as JSON by
// inspect_json.h, as tables by the command line.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "coreml/delegate.h"
#include "pte/program.h"

namespace diptych::tools {

// The type of a value. One that is no tensor has no shape, and a kind instead of a dtype ("int",
// "double list", …).
struct ValueType {
  std::string dtype;           // "fp16"
  std::optional<Shape> shape;  // upper bounds when dynamic
  bool dynamic = false;

  std::string text() const;  // "fp16[1,32,64]"
};

// A value of a method as an input, an output or an argument of a delegate call.
struct Port {
  int32_t value = 0;  // index in the method
  std::string name;   // of the Core ML input or output it is bound to; empty when there is none
  ValueType type;
};

struct Count {
  uint64_t count = 0, bytes = 0;

  void add(uint64_t size) {
    ++count;
    bytes += size;
  }
};

// A function of a package.
struct FunctionSummary {
  struct Feature {
    std::string name;
    ValueType type;
  };
  const mil::Function* function = nullptr;  // lives as long as Package::model
  std::vector<Feature> inputs, outputs;
  std::map<std::string, uint64_t> ops;  // by type, `const` included as Core ML files have it
  uint64_t op_count = 0;
  Count weights;  // in the weight file, each once
  // By try_functions(): what keeps the function from running here, an item each; memory for values
  // that it computes, and for weights that are not computed with as they are stored
  // (engine::Executable).
  std::vector<std::string> problems;
  uint64_t arena_bytes = 0, unpacked_bytes = 0;
};

// A Core ML package, read once however many delegates use it.
struct Package {
  std::string key;  // of the named data that holds it; empty for a payload of one delegate
  uint64_t bytes = 0;
  // Why the package, though not damaged, cannot be read (compiled, features outside of what diptych
  // implements). Nothing below is set then.
  std::string unreadable;
  std::shared_ptr<const coreml::DelegateModel> model;
  std::vector<FunctionSummary> functions;
  std::map<std::string, Count> weights_by_dtype;
  Count weights;  // in the weight file, used by some function; each once
  Count shared;   // those of them that several functions use
};

// A delegate of a method, with the arguments of the first call of it.
struct Partition {
  enum class Payload : uint8_t { Opaque, Legacy, Reference };  // Opaque: another backend's

  size_t index = 0;  // in the method
  std::string backend;
  std::vector<pte::CompileSpec> compile_specs;
  uint64_t payload_bytes = 0;
  Payload payload = Payload::Opaque;
  std::optional<size_t> package;  // index in Inspection::packages
  // The function it runs; null for other backends and packages that cannot be read.
  const mil::Function* function = nullptr;
  // Which arguments are inputs only the package knows; without one, all stand in `arguments`.
  std::vector<Port> inputs, outputs, arguments;
};
std::string_view name(Partition::Payload payload);  // "legacy"

struct MethodSummary {
  struct OperatorCalls {
    std::string name;  // "aten::add.out"
    uint64_t calls = 0;
  };
  struct InstructionCounts {
    uint64_t kernel_calls = 0, delegate_calls = 0, moves = 0, jumps = 0, frees = 0;
  };
  std::string name;
  std::vector<Port> inputs, outputs;
  std::vector<int64_t> arena_bytes;  // [0] is reserved
  InstructionCounts instructions;
  std::vector<OperatorCalls> operators;  // what kernel calls call, in the file's order
  std::vector<Partition> partitions;
};

// A constant method's value; one entry for each when it has several.
struct Metadata {
  std::string name;
  ValueType type;
  // Null for tensors of more than kMostValues elements. Nested lists for tensors; numbers that
  // JSON lacks are strings ("inf").
  std::shared_ptr<const Json> value;
};
inline constexpr uint64_t kMostValues = 64;

struct Inspection {
  struct NamedDataSummary {
    std::string key;
    uint64_t bytes = 0;
  };
  bool is_model = false;  // a Core ML model: one package, and of `layout` the size alone
  pte::Layout layout;
  std::vector<NamedDataSummary> named_data;
  std::vector<MethodSummary> methods;  // without constant methods
  std::vector<Package> packages;       // in the order of their first use
  std::vector<Metadata> metadata;
};

// Reads a .pte, or a .mlpackage or .mlmodel, which is one package without methods. Damage anywhere
// in it, in a Core ML package too, is an error that names the place.
Result<Inspection> inspect(const std::string& path);
// The same over bytes that `owner` keeps alive.
Result<Inspection> inspect(Bytes file, std::shared_ptr<const void> owner);
// The same over a program that was read, whose bytes `owner` keeps alive.
Result<Inspection> inspect(const pte::Program& program, std::shared_ptr<const void> owner);
// Compiles the functions of a Core ML model: fills in what FunctionSummary says of running them.
void try_functions(Inspection& inspection);

}  // namespace diptych::tools
