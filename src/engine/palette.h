// The weight of a linear that is indices into tables, as the kernels take it: the indices where
// they lie, the tables, which are small, in another form.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "engine/stored_weight.h"
#include "kernels/palette.h"
#include "mil/ir.h"

namespace diptych::engine {

class Palette {
 public:
  // In what form the tables are wanted.
  enum class Form : uint8_t { Int8, Fp32 };

  // Opens the result of a constexpr_lut_to_dense. Returns nothing for any other value, and for one
  // that the kernels do not take: other numbers of bits, tables of less than a row, indices that do
  // not lie in memory. The value's operation must have passed the verifier.
  static Result<std::optional<Palette>> open(const mil::Value& value, Form form);

  // For linear_palette() or linear_palette_dequantized(), by the form.
  const kernels::PaletteWeight& weight() const { return weight_; }
  const PaletteWeight& stored() const { return stored_; }
  // Bits of an index.
  int bits() const { return weight_.bits; }

 private:
  struct Tables {
    std::vector<int8_t> codes;
    std::vector<float> scales, entries;
  };

  PaletteWeight stored_;
  kernels::PaletteWeight weight_;
  std::shared_ptr<const Tables> tables_;  // what weight_ points to
};

}  // namespace diptych::engine
