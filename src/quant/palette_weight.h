// Weights that are another one's palettised form: indices and tables, computed when they are read.
#pragma once

#include <string_view>

#include "quant/quantize.h"

namespace diptych::quant {

// quantize() for the formats that are palettes; the source is a matrix whose rows the group
// divides. A table is made the first time that it or one of its rows is asked for. With one table,
// that takes a pass over the source, rows by rows.
QuantizedWeight palettize(WeightRef source, const Format& format, std::string_view tensor);

}  // namespace diptych::quant
