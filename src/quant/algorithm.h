// The ways to choose scales and codes. A new one is a row in algorithm.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "tensor/type.h"

namespace diptych::quant {

enum class Algorithm : uint8_t {
  Rtn,   // the scale of the largest weight, codes rounded to nearest: upstream's (quant/rtn.h)
  Mse,   // the scale of the least squared error (quant/mse.h)
  Gptq,  // codes that make up for one another over the inputs of a text (quant/gptq.h)
};

// One row of a matrix, before it is quantised.
struct SourceRow {
  std::span<const float> weights;
  DType dtype = DType::F32;          // F16 or F32: of the matrix, and so of its scales
  const uint16_t* halves = nullptr;  // the weights in fp16, if that is the dtype
};

// Chooses the scales [groups] of a row, groups being of equal size, and its codes [in], which may
// be null: then only the scales are wanted. Scales are exact in the row's dtype. Returns false when
// a weight is infinite or NaN; the output is then unspecified.
using QuantizeRow = bool (*)(const SourceRow& row, int bits, std::span<float> scales,
                             int8_t* codes);

struct AlgorithmInfo {
  Algorithm algorithm;
  std::string_view name;  // "rtn"
  // Null for an algorithm that needs the inputs of a text as well as the weights: quant/gptq.h.
  QuantizeRow quantize_row;
  // What takes its place for a matrix that has no such inputs; others stay as they are.
  Algorithm without_inputs;
};
const AlgorithmInfo& info(Algorithm algorithm);

inline std::string_view name(Algorithm algorithm) { return info(algorithm).name; }
inline bool needs_inputs(Algorithm algorithm) { return info(algorithm).quantize_row == nullptr; }

// By AlgorithmInfo::name; an unknown one is an error that lists the known.
Result<Algorithm> algorithm_from_name(std::string_view name);

}  // namespace diptych::quant
