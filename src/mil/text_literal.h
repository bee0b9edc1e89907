// The smallest pieces of the text form, shared by the printer and the parser: quoted strings, and
// elements of constants as text. An element is held as its bits, zero-extended to 64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/type.h"
#include "tensor/weight.h"

namespace diptych::mil {

// Whether a word has a meaning of its own in the grammar. Operations and parameters of such names
// are quoted.
bool is_keyword(std::string_view word);

// Letters, digits, '_' and '.', at least one: names that follow % or @ without quotes.
bool is_plain_name(std::string_view name);
bool is_name_char(char c);

// "…" with \" and \\ escaped, and every byte outside printable ASCII as \xHH.
std::string quote(std::string_view text);

// An element as text: integers in decimal, true and false, floats in as few digits as parse to the
// same bits, inf, -inf, nan, and 0x… (raw bits) for other NaNs and for 8-bit floats.
std::string print_element(DType dtype, uint64_t bits);
// Returns the bits of such a text. Errors: values that do not fit the dtype.
Result<uint64_t> parse_element(DType dtype, std::string_view text);

// Read all elements of a weight, and make a weight of elements, whose number must be the type's.
Result<std::vector<uint64_t>> read_elements(const Weight& weight);
Result<WeightRef> weight_from_elements(TensorType type, const std::vector<uint64_t>& elements);

}  // namespace diptych::mil
