// Weights that are the quantised form of other weights: codes and scales, computed when somebody
// reads them. The arithmetic of round-to-nearest is in passes/quantize_kernel.h.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "passes/grid.h"
#include "tensor/weight.h"

namespace diptych::passes {

// How the scales and codes of a group of weights are chosen.
enum class Algorithm : uint8_t {
  Rtn,   // the scale of the largest weight, codes rounded to nearest: upstream's (torchao's)
  Mse,   // the scale of the least squared error (passes/quantize_mse.h)
  Hqq,   // half-quadratic splitting (passes/quantize_hqq.h)
  Gptq,  // codes that make up for one another over the inputs of a text (passes/quantize_gptq.h)
};
std::string_view name(Algorithm algorithm);  // "rtn"
// An unknown name is an error that lists the known.
Result<Algorithm> algorithm_from_name(std::string_view name);

// How a matrix [out, in] is quantised.
struct Quantization {
  int bits = 4;       // 4 or 8
  int64_t group = 0;  // input columns that share a scale: 32, 64, 128, or 0 for a whole row
  Algorithm algorithm = Algorithm::Rtn;

  bool operator==(const Quantization&) const = default;
};

// "4-bit per row", "8-bit in groups of 32".
std::string to_string(const Quantization& how);

// Says what is wrong with `how` itself: bits or group outside the choices above.
Status check(const Quantization& how);

// The group of {32, 64, 128} nearest to `group` that divides the width; 0 when none does.
int64_t nearest_group(int64_t group, int64_t width);

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

// w[i, j] ~ scales[i, j / group] * codes[i, j].
struct QuantizedWeight {
  WeightRef codes;   // int4 or int8 [out, in]
  WeightRef scales;  // the source's dtype [out, in / group]
  std::shared_ptr<const ErrorMeter> error;
};

// The quantised form of `source`, an fp16 or fp32 matrix. `tensor` names it in errors, those of a
// later read included: an infinite or NaN element cannot be quantised. Reading codes in order and
// then scales, as writers do, reads the source once. Gptq is refused: it needs more than the source
// (quantize_gptq()).
Result<QuantizedWeight> quantize(WeightRef source, const Quantization& how,
                                 std::string_view tensor);

// quantize() that gives the same weights for the same source and parameters, so that functions
// which share a weight go on sharing it.
class QuantizeCache {
 public:
  Result<QuantizedWeight> quantize(const WeightRef& source, const Quantization& how,
                                   std::string_view tensor);

  struct Entry {
    WeightRef source;
    Quantization how;
    QuantizedWeight quantized;
  };
  // All that it gave, in no particular order.
  std::vector<Entry> entries() const;
  // From now on quantize() gives `quantized` for this request, and slices of it for row_slice()s of
  // the source.
  void remember(WeightRef source, const Quantization& how, QuantizedWeight quantized);

 private:
  // An entry keeps its source alive, so a source's address is not used again.
  std::map<std::tuple<const Weight*, int, int64_t, Algorithm>, Entry> known_;
};

}  // namespace diptych::passes
