#include "executorch/arguments.h"

#include <cstring>

namespace diptych::plugin {

namespace {

using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::runtime::EValue;

Result<DType> dtype_of(ScalarType type) {
  switch (type) {
    case ScalarType::Bool:
      return DType::Bool;
    case ScalarType::Byte:
      return DType::UInt8;
    case ScalarType::Char:
      return DType::Int8;
    case ScalarType::Short:
      return DType::Int16;
    case ScalarType::UInt16:
      return DType::UInt16;
    case ScalarType::Int:
      return DType::Int32;
    case ScalarType::UInt32:
      return DType::UInt32;
    case ScalarType::Long:
      return DType::Int64;
    case ScalarType::Half:
      return DType::F16;
    case ScalarType::BFloat16:
      return DType::BF16;
    case ScalarType::Float:
      return DType::F32;
    case ScalarType::Double:
      return DType::F64;
    default:
      return invalid_argument("element type number {} has no counterpart in Core ML",
                              static_cast<int>(type));
  }
}

// Axes of one element may have any stride.
bool is_row_major(const Tensor& tensor) {
  executorch::aten::StridesType stride = 1;
  for (ssize_t axis = tensor.dim() - 1; axis >= 0; --axis) {
    const auto i = static_cast<size_t>(axis);
    if (tensor.sizes()[i] > 1 && tensor.strides()[i] != stride) return false;
    stride *= tensor.sizes()[i];
  }
  return true;
}

Result<Elements> tensor_elements(const Tensor& tensor) {
  Elements elements;
  elements.type.dtype = TRY(dtype_of(tensor.scalar_type()));
  for (const auto size : tensor.sizes()) elements.type.shape.push_back(size);
  if (!is_row_major(tensor)) {
    return invalid_argument("a tensor of type {} that is not packed in row-major order",
                            to_string(elements.type));
  }
  auto* data = static_cast<std::byte*>(const_cast<void*>(tensor.const_data_ptr()));
  if (data == nullptr && tensor.nbytes() > 0) {
    return invalid_argument("a tensor of type {} without memory", to_string(elements.type));
  }
  elements.bytes = {data, tensor.nbytes()};
  return elements;
}

template <class T>
Elements scalar_elements(DType dtype, T value, ScalarStorage& storage) {
  static_assert(sizeof(T) <= sizeof(ScalarStorage));
  std::memcpy(storage.data(), &value, sizeof(T));
  return {{dtype, {}}, {storage.data(), sizeof(T)}};
}

}  // namespace

Result<Elements> input_elements(const EValue& value, ScalarStorage& scalar) {
  if (value.isTensor()) return tensor_elements(value.toTensor());
  if (value.isInt()) return scalar_elements(DType::Int64, value.toInt(), scalar);
  if (value.isDouble()) return scalar_elements(DType::F64, value.toDouble(), scalar);
  if (value.isBool()) return scalar_elements(DType::Bool, value.toBool(), scalar);
  return invalid_argument("expected a tensor or a number, found a value of kind {}",
                          static_cast<unsigned>(value.tag));
}

Result<Elements> output_elements(EValue& value) {
  if (value.isTensor()) return tensor_elements(value.toTensor());
  return invalid_argument("expected a tensor, found a value of kind {}",
                          static_cast<unsigned>(value.tag));
}

}  // namespace diptych::plugin
