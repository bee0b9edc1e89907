// Constant methods: how a .pte file carries metadata. Each is a method without inputs and
// instructions; its outputs are its values. docs/formats/pte.md, section 5.
#pragma once

#include <span>

#include "pte/program.h"

namespace diptych::pte {

// A constant tensor of a program.
struct ConstantTensor {
  TensorType type;
  Bytes bytes;  // packed, row-major, at any address; as long-lived as the program's blobs
};
using ConstantValue = std::variant<int64_t, bool, double, std::string, ConstantTensor>;

// --- Writing ---

// Makes a method whose output is `value`: an int64_t, a bool, a double or a string.
Method constant_method(std::string name, EValue value);
// Makes a method whose output is a tensor. Its bytes, of which there must be packed_size(type),
// become a constant of `program` or share an equal one. The method itself is returned, not added.
Result<Method> constant_tensor_method(Program& program, std::string name, const TensorType& type,
                                      std::vector<std::byte> bytes);
// Makes a method whose output is int64[n].
Result<Method> constant_ints_method(Program& program, std::string name,
                                    std::span<const int64_t> items);
// Adds a constant method, or replaces the constant method of the same name. Fails when a method of
// that name computes something.
Status set_constant_method(Program& program, Method method);

// --- Reading ---

// True when running the method means reading its outputs.
bool is_constant_method(const Method& method);

// Returns the outputs of a constant method of `program`, in order. A list gives several values.
Result<std::vector<ConstantValue>> constant_values(const Program& program, const Method& method);

// Returns the one value of the constant method `name`. Errors: NotFound when there is no such
// method.
Result<ConstantValue> constant_value(const Program& program, std::string_view name);
// The same for an integer, and for an integer tensor of any shape; a plain integer counts as a
// tensor of one.
Result<int64_t> constant_int(const Program& program, std::string_view name);
Result<std::vector<int64_t>> constant_ints(const Program& program, std::string_view name);

// The elements of an integer (or boolean) tensor.
Result<std::vector<int64_t>> to_ints(const ConstantTensor& tensor);

// A value for people: "512", "true", "\"text\"", "fp16[512,4]" (a tensor without its elements).
std::string to_string(const ConstantValue& value);

}  // namespace diptych::pte
