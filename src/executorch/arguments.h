// ExecuTorch's values as typed bytes.
#pragma once

#include <executorch/runtime/core/evalue.h>

#include <array>

#include "base/bytes.h"
#include "base/error.h"
#include "tensor/type.h"

namespace diptych::plugin {

// A view of a value's elements, packed in row-major order.
struct Elements {
  TensorType type;
  MutableBytes bytes;
};

// Holds a scalar (int, double or bool) for as long as a view of it is used.
using ScalarStorage = std::array<std::byte, 8>;

// The elements of a tensor, in place, or of a scalar, copied to `scalar`; scalars are tensors of
// rank 0. InvalidArgument for other values, element types without a counterpart, tensors that are
// not packed in row-major order, and tensors without memory.
Result<Elements> input_elements(const executorch::runtime::EValue& value, ScalarStorage& scalar);
// The same for a tensor to be written.
Result<Elements> output_elements(executorch::runtime::EValue& value);

}  // namespace diptych::plugin
