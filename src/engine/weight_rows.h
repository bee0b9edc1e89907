// The rows of the weight of a linear or gather, computed as floats from the stored bytes when they
// are needed, so that no weight is ever unpacked as a whole.
#pragma once

#include <optional>

#include "base/error.h"
#include "engine/numerics.h"
#include "engine/stored_weight.h"
#include "mil/ir.h"
#include "tensor/weight.h"

namespace diptych::engine {

class WeightRows {
 public:
  // Opens a value that is a constant of fp16 or fp32, or a matrix of scaled integers of 4 or 8 bits
  // or of indices into tables (stored_weight.h). Returns nothing for any other value. The value's
  // operation must have passed the verifier.
  static std::optional<WeightRows> open(const mil::Value& value, Numerics numerics);

  // A row is a slice along the first axis.
  int64_t rows() const { return data_.weight->rows(); }
  size_t row_size() const { return data_.weight->row_elements(); }

  // Bytes of scratch memory that a call of read() needs, a multiple of 64.
  uint64_t scratch_size() const { return layout(nullptr).size; }

  // Writes row `row` to out[0, row_size()). In typed numerics, quantised elements are rounded to
  // the declared type, and the number of overflows is added to *overflows. `scratch` is aligned
  // to 64.
  Status read(int64_t row, float* out, std::byte* scratch, uint64_t* overflows) const;

 private:
  // A weight and, where it lies in memory, its packed bytes.
  struct Stored {
    explicit Stored(WeightRef w) : weight(std::move(w)), bytes(weight->bytes()) {}
    WeightRef weight;
    std::optional<Bytes> bytes;
  };
  // Elements of a row: packed, or unpacked to a byte each by Weight::read_rows.
  struct Elements {
    const std::byte* data;
    uint64_t first;  // index of the row's first element
    DType dtype;
  };

  explicit WeightRows(Stored data) : data_(std::move(data)) {}
  static std::optional<WeightRows> open_scaled(const ScaledWeight& scaled, Numerics numerics);
  static WeightRows open_palette(const PaletteWeight& palette);
  // Parts of the scratch memory.
  struct Scratch {
    std::byte *elements, *parameters;  // rows of weights that do not lie in memory
    float *scales, *offsets;           // or the tables of a row in place of scales
    uint64_t size;
  };
  Scratch layout(std::byte* memory) const;
  static Result<Elements> fetch(const Stored& stored, int64_t row, std::byte* buffer);
  static Status fetch_floats(const Stored& stored, int64_t row, std::byte* buffer, float* out);

  void look_up(const Elements& indices, const float* tables, float* out) const;

  Stored data_;
  std::optional<Stored> scale_, offset_;  // no scale: a plain constant
  int table_bits_ = 0;                    // of an index, when scale_ holds tables of entries
  int64_t rows_per_scale_ = 1;
  bool round_to_half_ = false;
};

}  // namespace diptych::engine
