#include "coreml/proto_types.h"

#include <array>
#include <span>

namespace diptych::coreml {

namespace {

using protozero::pbf_writer;

struct Code {
  DType dtype;
  int32_t code;
};

// MIL's element types.
constexpr std::array kMilTypes = {
    Code{DType::Bool, 1},    Code{DType::String, 2},  Code{DType::F16, 10},
    Code{DType::F32, 11},    Code{DType::F64, 12},    Code{DType::BF16, 13},
    Code{DType::Int8, 21},   Code{DType::Int16, 22},  Code{DType::Int32, 23},
    Code{DType::Int64, 24},  Code{DType::Int4, 25},   Code{DType::UInt8, 31},
    Code{DType::UInt16, 32}, Code{DType::UInt32, 33}, Code{DType::UInt64, 34},
    Code{DType::UInt4, 35},  Code{DType::UInt2, 36},  Code{DType::UInt1, 37},
    Code{DType::UInt6, 38},  Code{DType::UInt3, 39},  Code{DType::F8E4M3FN, 40},
    Code{DType::F8E5M2, 41},
};

// Element types of features: class in the upper half, bits in the lower.
constexpr std::array kFeatureTypes = {
    Code{DType::F16, 0x10010},   Code{DType::F32, 0x10020},  Code{DType::F64, 0x10040},
    Code{DType::Int32, 0x20020}, Code{DType::Int8, 0x20008},
};

Result<DType> dtype_of(std::span<const Code> codes, int32_t code) {
  for (const Code& entry : codes) {
    if (entry.code == code) return entry.dtype;
  }
  return unsupported("element type number {}", code);
}

std::optional<int32_t> code_of(std::span<const Code> codes, DType dtype) {
  for (const Code& entry : codes) {
    if (entry.dtype == dtype) return entry.code;
  }
  return std::nullopt;
}

// Refuses sizes that overflow, so that later arithmetic on the type is safe.
Result<TensorType> checked(TensorType type) {
  TRY(type.dtype == DType::String ? element_count(type.shape) : packed_size(type));
  return type;
}

}  // namespace

Result<TensorType> read_type(const proto::ValueType& type) {
  if (type.type != proto::ValueType::kTensor) {
    const std::string_view kind = non_tensor_kind(type);
    if (kind.empty()) return invalid_data("expected a tensor type, found none");
    return unsupported("type {}, expected a tensor", kind);
  }
  const proto::TensorType& tensor = type.tensor;
  TensorType result;
  result.dtype = TRY(dtype_of(kMilTypes, tensor.data_type));
  for (const proto::Dimension& dimension : tensor.dimensions) {
    if (!dimension.size) return unsupported("a dimension that is not fixed");
    if (*dimension.size > INT64_MAX) {
      return invalid_data("dimension {} is too large", *dimension.size);
    }
    result.shape.push_back(static_cast<int64_t>(*dimension.size));
  }
  if (tensor.rank != result.rank()) {
    return invalid_data("a tensor of rank {} with {} dimensions", tensor.rank, result.rank());
  }
  return checked(std::move(result));
}

void write_type(const TensorType& type, pbf_writer out) {
  pbf_writer tensor(out, proto::ValueType::kTensor);
  tensor.add_int32(proto::TensorType::kDataType, *code_of(kMilTypes, type.dtype));
  if (type.shape.empty()) return;  // a scalar is its element type alone
  tensor.add_int64(proto::TensorType::kRank, type.rank());
  for (const int64_t size : type.shape) {
    pbf_writer dimension(tensor, proto::TensorType::kDimensions);
    pbf_writer constant(dimension, proto::Dimension::kConstant);
    constant.add_uint64(proto::Dimension::kSize, static_cast<uint64_t>(size));
  }
}

bool has_unknown_dimension(const proto::ValueType& type) {
  if (type.type != proto::ValueType::kTensor) return false;
  for (const proto::Dimension& dimension : type.tensor.dimensions) {
    if (!dimension.size) return true;
  }
  return type.tensor.rank < 0;
}

std::string_view non_tensor_kind(const proto::ValueType& type) {
  switch (type.type) {
    case proto::ValueType::kList:
      return "list";
    case proto::ValueType::kTuple:
      return "tuple";
    case proto::ValueType::kDictionary:
      return "dictionary";
    case proto::ValueType::kState:
      return "state";
    default:
      return {};
  }
}

Result<TensorType> read_feature_type(const proto::ArrayFeatureType& type) {
  TensorType result;
  result.dtype = TRY(dtype_of(kFeatureTypes, type.data_type));
  result.shape.assign(type.shape.begin(), type.shape.end());
  return checked(std::move(result));
}

Status write_feature_type(const TensorType& type, pbf_writer out) {
  const auto code = code_of(kFeatureTypes, type.dtype);
  if (!code) {
    return invalid_argument(
        "Core ML inputs and outputs are fp16, fp32, fp64, int32 or int8, not {}", to_string(type));
  }
  if (type.shape.empty()) {
    return invalid_argument("Core ML inputs and outputs have at least one axis, {} has none",
                            to_string(type));
  }
  out.add_packed_int64(proto::ArrayFeatureType::kShape, type.shape.begin(), type.shape.end());
  out.add_int32(proto::ArrayFeatureType::kDataType, *code);
  return {};
}

}  // namespace diptych::coreml
