// Weights that are the quantised form of other weights: codes and scales, computed when somebody
// reads them.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>

#include "base/error.h"
#include "quant/algorithm.h"
#include "quant/format.h"
#include "quant/grid.h"
#include "tensor/weight.h"

namespace diptych::quant {

// How a matrix is quantised.
struct Quantization {
  Format format;
  Algorithm algorithm = Algorithm::Rtn;

  bool operator==(const Quantization&) const = default;
};

// What finds the codes, by name: that of the algorithm; "k-means" for palettes, whose tables no
// other algorithm than one that needs inputs has a say in; "keep" where there is nothing to choose.
std::string_view method(const Quantization& how);

// Adds up the error of a weight while it is computed, on any thread.
class ErrorMeter {
 public:
  void add(const QuantizationError& part);
  // Of all that was computed so far. Rows computed again count again, which leaves relative() as it
  // is when all are.
  QuantizationError total() const;

 private:
  mutable std::mutex mutex_;
  QuantizationError total_;
};

// w[i, j] ~ scales[i, j / group] * (codes[i, j] - offsets[i, j / group]), or of a palette
// table[i / group, 0, codes[i, j], 0].
struct QuantizedWeight {
  WeightRef codes;   // int4 or int8 [out, in]; uint4, uint6 or uint8
  WeightRef scales;  // the source's dtype [out, in / group]; null
  std::shared_ptr<const ErrorMeter> error;
  WeightRef table{};    // null; the source's dtype [out / group, 1, 2^bits, 1]
  WeightRef offsets{};  // as the scales; null: all 0
};

// The quantised form of `source`, an fp16 or fp32 matrix. A format that is kept takes the codes
// that the source has (quant/keep.h). `tensor` names it in errors, those of a later read included:
// an infinite or NaN element cannot be quantised. Reading codes in order and then scales, as
// writers do, reads the source once. Algorithms that need inputs are refused: they make their
// weights themselves (quant/gptq.h).
Result<QuantizedWeight> quantize(WeightRef source, const Quantization& how,
                                 std::string_view tensor);

}  // namespace diptych::quant
