// What constexpr operations hold of a weight, whichever of Core ML's generations they are of: the
// flat bytes and scalars of iOS 16 are seen as the tensors that iOS 18 has.
//
// Only operations over constants are seen so. Those over results of others (a palette whose tables
// are quantised, a sparse palette …) are unpacked as a whole (unpack.h).
#pragma once

#include <optional>

#include "mil/ir.h"
#include "tensor/weight.h"

namespace diptych::engine {

// scale * (data - offset). Data are integers of 4 or 8 bits or floats; scale and offset, which may
// be missing, have an element for each block of data along every axis.
struct ScaledWeight {
  WeightRef data, scale, offset;
  // How it lies in the file: false where scale and offset had to be made from what is there.
  bool as_stored = true;
};
// A constexpr_blockwise_shift_scale or constexpr_affine_dequantize; nothing for any other value.
std::optional<ScaledWeight> scaled_weight(const mil::Value& value);
// The same weight with a row of scales and offsets for each row of data; nothing when they cannot
// be read.
std::optional<ScaledWeight> with_scales_per_row(ScaledWeight weight);

// An entry of a table for each index: tables [blocks along every axis of indices, entries, 1].
struct PaletteWeight {
  WeightRef indices, tables;
};
// A constexpr_lut_to_dense whose entries are single floats; nothing for any other value.
std::optional<PaletteWeight> palette_weight(const mil::Value& value);

// The type of indices into a table of 2, 4, 16, 64 or 256 entries.
DType index_into(uint64_t entries);

// The same packed bytes as elements of another type that takes as many.
Result<WeightRef> as_type(const WeightRef& weight, TensorType type);

}  // namespace diptych::engine
