// An ML Program in memory, the hinge of diptych: the exporter ends in it, the engine starts from
// it, and files are its serialised form. The model is Apple's MIL (coremltools, MIL.proto).
//
// Differences from the serialised form, all to make passes simple:
//   - Constants are not operations. A Value is an input, a constant or the result of an Op;
//     `const` operations are read into constants and written from them.
//   - A function is one flat block. Nested blocks (cond, while_loop) are refused by the reader.
//   - Types are static; dimensions are known.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/type.h"
#include "tensor/weight.h"

namespace diptych::mil {

struct Op;
class Function;

// One SSA value. Owned by its Function, addresses are stable.
struct Value {
  enum class Kind : uint8_t { Input, Constant, Result };

  std::string name;  // unique in the function
  TensorType type;
  Kind kind = Kind::Input;
  Op* producer = nullptr;  // for a Result
  int result_index = 0;    // which output of the producer
  WeightRef weight;        // for a Constant whose dtype is not String
  std::string text;        // for a Constant of dtype String (a scalar)

  bool is_constant() const { return kind == Kind::Constant; }
};

// One parameter of an operation and the values bound to it: exactly one for most parameters, one
// or more for variadic ones (`values` of concat and stack).
struct Operand {
  std::string param;
  std::vector<Value*> values;
};

// One operation. `type` is the MIL operation name ("linear"), or one of our own dialect ("cpu.…",
// "diptych.…"). Types outside the op table (mil/op_table.h) can be held, printed and written, but
// not inferred or run.
struct Op {
  std::string type;
  std::vector<Operand> operands;
  std::vector<Value*> results;

  // The value bound to a parameter, or null when it is absent.
  Value* operand(std::string_view param) const;
  // All values bound to a parameter; empty when it is absent.
  const std::vector<Value*>& operand_list(std::string_view param) const;
  Value* result() const { return results.front(); }
};

// Whether an operation describes a weight: constexpr_…, whose operands are constants or results of
// others; and whether a value is the result of one.
bool is_constant_expression(const Op& op);
bool is_constant_expression(const Value& value);

// A function: inputs, constants, operations in execution order (SSA, topological), outputs.
class Function {
 public:
  explicit Function(std::string function_name, std::string function_opset = "CoreML8")
      : name(std::move(function_name)), opset(std::move(function_opset)) {}
  Function(const Function&) = delete;
  Function& operator=(const Function&) = delete;

  std::string name;
  std::string opset;  // "CoreML8" is iOS 18
  std::vector<Value*> inputs;
  std::vector<Value*> outputs;
  std::vector<std::unique_ptr<Op>> ops;

  // Names are taken as given when free, and made unique ("name_1") when not.
  Value* add_input(std::string_view name, TensorType type);
  Value* add_constant(std::string_view name, WeightRef weight);
  Value* add_string(std::string_view name, std::string text);
  // Appends an operation with results of the given types; inference and checks are the Builder's
  // and the verifier's task.
  Op* add_op(std::string type, std::vector<Operand> operands,
             std::vector<std::pair<std::string, TensorType>> results);
  // The same at a place in `ops`.
  Op* insert_op(size_t position, std::string type, std::vector<Operand> operands,
                std::vector<std::pair<std::string, TensorType>> results);

  Value* find(std::string_view name) const;  // null when absent
  // Gives a value another name; the name is made unique when taken.
  void rename(Value* value, std::string_view name);
  // Every use of `from` (operands and function outputs) becomes a use of `to`.
  void replace_uses(Value* from, Value* to);
  // Removes operations whose results are not used, and values that belong to no operation.
  void remove_dead();

  // Constants in order of creation.
  std::vector<Value*> constants() const;

 private:
  std::string unique_name(std::string_view wanted);
  Value* add_value(std::string_view name, TensorType type, Value::Kind kind);

  std::vector<std::unique_ptr<Value>> values_;
  std::unordered_map<std::string, Value*> by_name_;
  std::unordered_map<std::string, int> next_suffix_;
};

// A program: functions that may share weights (the same WeightRef).
struct Program {
  std::vector<std::unique_ptr<Function>> functions;

  Function* find(std::string_view name) const;
};

// A deep copy of a function; weights stay shared.
std::unique_ptr<Function> clone(const Function& function);

// Return the elements of a constant value, for parameters such as axes, shapes and flags. A boolean
// gives 0 or 1. Errors name the value.
Result<std::vector<int64_t>> constant_ints(const Value& value);
Result<int64_t> constant_int(const Value& value);
Result<double> constant_float(const Value& value);
Result<std::string> constant_string(const Value& value);

}  // namespace diptych::mil
