// Weights that are the quantised form of other weights: codes and scales, computed when somebody
// reads them. The arithmetic is in passes/quantize_kernel.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "base/error.h"
#include "tensor/weight.h"

namespace diptych::passes {

// How a matrix [out, in] is quantised.
struct Quantization {
  int bits = 4;       // 4 or 8
  int64_t group = 0;  // input columns that share a scale: 32, 64, 128, or 0 for a whole row

  bool operator==(const Quantization&) const = default;
};

// "4-bit per row", "8-bit in groups of 32".
std::string to_string(const Quantization& how);

// Says what is wrong with `how` itself: bits or group outside the choices above.
Status check(const Quantization& how);

// The group of {32, 64, 128} nearest to `group` that divides the width; 0 when none does.
int64_t nearest_group(int64_t group, int64_t width);

// w[i, j] ~ scales[i, j / group] * codes[i, j].
struct QuantizedWeight {
  WeightRef codes;   // int4 or int8 [out, in]
  WeightRef scales;  // the source's dtype [out, in / group]
};

// The quantised form of `source`, an fp16 or fp32 matrix. `tensor` names it in errors, those of a
// later read included: an infinite or NaN element cannot be quantised. Reading codes in order and
// then scales, as writers do, reads the source once.
Result<QuantizedWeight> quantize(WeightRef source, const Quantization& how,
                                 std::string_view tensor);

// quantize() that gives the same weights for the same source and parameters, so that functions
// which share a weight go on sharing it.
class QuantizeCache {
 public:
  Result<QuantizedWeight> quantize(const WeightRef& source, const Quantization& how,
                                   std::string_view tensor);

 private:
  // A cached weight keeps its source alive, so a source's address is not used again.
  std::map<std::tuple<const Weight*, int, int64_t>, QuantizedWeight> known_;
};

}  // namespace diptych::passes
