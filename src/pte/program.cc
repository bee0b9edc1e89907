#include "pte/program.h"

#include <algorithm>
#include <array>

namespace diptych::pte {

namespace {

struct ScalarInfo {
  ScalarType type;
  std::string_view name;  // where there is no dtype
  int size;
  std::optional<DType> dtype;
};

constexpr std::array kScalars = {
    ScalarInfo{ScalarType::Byte, {}, 1, DType::UInt8},
    ScalarInfo{ScalarType::Char, {}, 1, DType::Int8},
    ScalarInfo{ScalarType::Short, {}, 2, DType::Int16},
    ScalarInfo{ScalarType::Int, {}, 4, DType::Int32},
    ScalarInfo{ScalarType::Long, {}, 8, DType::Int64},
    ScalarInfo{ScalarType::Half, {}, 2, DType::F16},
    ScalarInfo{ScalarType::Float, {}, 4, DType::F32},
    ScalarInfo{ScalarType::Double, {}, 8, DType::F64},
    ScalarInfo{ScalarType::Bool, {}, 1, DType::Bool},
    ScalarInfo{ScalarType::QInt8, "qint8", 1, {}},
    ScalarInfo{ScalarType::QUInt8, "quint8", 1, {}},
    ScalarInfo{ScalarType::QInt32, "qint32", 4, {}},
    ScalarInfo{ScalarType::BFloat16, {}, 2, DType::BF16},
    ScalarInfo{ScalarType::QUInt4x2, "quint4x2", 1, {}},
    ScalarInfo{ScalarType::QUInt2x4, "quint2x4", 1, {}},
    ScalarInfo{ScalarType::Bits16, "bits16", 2, {}},
    ScalarInfo{ScalarType::F8E5M2, {}, 1, DType::F8E5M2},
    ScalarInfo{ScalarType::F8E4M3FN, {}, 1, DType::F8E4M3FN},
    ScalarInfo{ScalarType::F8E5M2FNUZ, "fp8e5m2fnuz", 1, {}},
    ScalarInfo{ScalarType::F8E4M3FNUZ, "fp8e4m3fnuz", 1, {}},
    ScalarInfo{ScalarType::UInt16, {}, 2, DType::UInt16},
    ScalarInfo{ScalarType::UInt32, {}, 4, DType::UInt32},
    ScalarInfo{ScalarType::UInt64, {}, 8, DType::UInt64},
};

const ScalarInfo* find_info(ScalarType type) {
  const auto found =
      std::find_if(kScalars.begin(), kScalars.end(), [&](auto& s) { return s.type == type; });
  return found == kScalars.end() ? nullptr : &*found;
}

}  // namespace

bool is_known(ScalarType type) { return find_info(type) != nullptr; }

std::string_view name(ScalarType type) {
  const ScalarInfo* info = find_info(type);
  if (info == nullptr) return "unknown";
  return info->dtype ? diptych::name(*info->dtype) : info->name;
}

int element_size(ScalarType type) {
  const ScalarInfo* info = find_info(type);
  return info == nullptr ? 0 : info->size;
}

Result<DType> dtype_of(ScalarType type) {
  const ScalarInfo* info = find_info(type);
  if (info == nullptr || !info->dtype) {
    return unsupported("scalar type {} ({}) has no counterpart here", static_cast<int>(type),
                       name(type));
  }
  return *info->dtype;
}

Result<ScalarType> scalar_type_of(DType dtype) {
  for (const ScalarInfo& info : kScalars) {
    if (info.dtype == dtype) return info.type;
  }
  return unsupported("an ExecuTorch program has no tensors of {}", diptych::name(dtype));
}

Result<Tensor> make_tensor(const TensorType& type) {
  Tensor tensor;
  tensor.scalar_type = TRY(scalar_type_of(type.dtype));
  tensor.sizes = type.shape;
  for (size_t axis = 0; axis < type.shape.size(); ++axis) {
    tensor.dim_order.push_back(static_cast<uint8_t>(axis));
  }
  return tensor;
}

Result<TensorType> tensor_type(const Tensor& tensor) {
  TensorType type{TRY(dtype_of(tensor.scalar_type)), tensor.sizes};
  if (tensor.dynamism != ShapeDynamism::Static) {
    return unsupported("tensor {} has a dynamic shape; only static shapes are implemented",
                       to_string(type));
  }
  if (!std::is_sorted(tensor.dim_order.begin(), tensor.dim_order.end())) {
    return unsupported("tensor {} is not in row-major order", to_string(type));
  }
  return type;
}

Result<uint64_t> byte_size(const Tensor& tensor) {
  const uint64_t elements = TRY(element_count(tensor.sizes));
  uint64_t bytes;
  if (!checked_mul(elements, static_cast<uint64_t>(element_size(tensor.scalar_type)), &bytes)) {
    return invalid_data("a tensor of shape {} has too many bytes",
                        diptych::to_string(tensor.sizes));
  }
  return bytes;
}

const Method* find_method(const Program& program, std::string_view name) {
  for (const Method& method : program.methods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

const Blob* find_named_data(const Program& program, std::string_view key) {
  for (const NamedData& entry : program.named_data) {
    if (entry.key == key) return &entry.data;
  }
  return nullptr;
}

void set_named_data(Program& program, std::string_view key, Blob data) {
  for (NamedData& entry : program.named_data) {
    if (entry.key != key) continue;
    entry.data = std::move(data);
    return;
  }
  program.named_data.push_back({std::string(key), std::move(data)});
}

uint32_t add_constant(Program& program, Blob bytes) {
  const auto begin = program.constants.begin() + 1;  // behind the placeholder
  const auto found = std::find(begin, program.constants.end(), bytes);
  const auto index = static_cast<uint32_t>(found - program.constants.begin());
  if (found == program.constants.end()) program.constants.push_back(std::move(bytes));
  return index;
}

}  // namespace diptych::pte
