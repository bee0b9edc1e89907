// What was quantised so far.
#pragma once

#include <map>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "quant/quantize.h"

namespace diptych::quant {

// quantize() that gives the same weights for the same source and parameters, so that functions
// which share a weight go on sharing it.
class Cache {
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
  std::map<std::tuple<const Weight*, int, int64_t, bool, Algorithm>, Entry> known_;
};

}  // namespace diptych::quant
