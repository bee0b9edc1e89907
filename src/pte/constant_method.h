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

// A method that answers with `value`: an int64_t, a bool, a double or a string.
Method constant_method(std::string name, EValue value);
// One that answers with a tensor, whose bytes become (or share) a constant of `program`. Their
// number must be packed_size(type). The method is returned, not added.
Result<Method> constant_tensor_method(Program& program, std::string name, const TensorType& type,
                                      std::vector<std::byte> bytes);
// One that answers with int64[n].
Result<Method> constant_ints_method(Program& program, std::string name,
                                    std::span<const int64_t> items);
// Adds a constant method, or puts it in the place of the constant method of its name. Fails when a
// method of that name computes something.
Status set_constant_method(Program& program, Method method);

// --- Reading ---

// True when running the method means reading its outputs.
bool is_constant_method(const Method& method);

// The outputs of a constant method, in order (a list yields several). `method` belongs to
// `program`.
Result<std::vector<ConstantValue>> constant_values(const Program& program, const Method& method);

// The one value of the constant method `name`; NotFound when there is no such method.
Result<ConstantValue> constant_value(const Program& program, std::string_view name);
// The same for an integer, or for an integer tensor of any shape (a plain integer counts as one).
Result<int64_t> constant_int(const Program& program, std::string_view name);
Result<std::vector<int64_t>> constant_ints(const Program& program, std::string_view name);

// The elements of an integer (or boolean) tensor.
Result<std::vector<int64_t>> to_ints(const ConstantTensor& tensor);

// "512", "true", "\"text\"", "fp16[512,4]": a value for people; a tensor without its elements.
std::string to_string(const ConstantValue& value);

}  // namespace diptych::pte
