// y = x * W^T in fp32, for every kind of weight that the engine can read. Each element of the
// result is one dot product, computed the same way for any number of rows. Rows of the weight are
// unpacked a panel at a time.
#pragma once

#include <optional>

#include "engine/lowering.h"
#include "engine/weight_rows.h"

namespace diptych::engine {

class Fp32Linear {
 public:
  // Opens the weight [rows, columns] of an operation while it is lowered, for up to `m_rows` rows
  // of x.
  static Result<Fp32Linear> open(const mil::Value& weight, int64_t m_rows, Lowering& lowering);

  // Computes y[m * y_stride + r] for rows m in [0, m_rows) of x, which lie without gaps, and rows r
  // in [begin, end) of the weight. `thread` is the calling thread of the frame's pool.
  Status multiply(const Frame& frame, int thread, const float* x, int64_t m_rows, int64_t begin,
                  int64_t end, float* y, int64_t y_stride) const;

 private:
  std::optional<WeightRows> rows_;
  Place cells_{};  // without rows_
  int64_t columns_ = 0;
  int64_t panel_rows_ = 0;     // with rows_
  uint64_t panel_offset_ = 0;  // in a thread's scratch memory, behind what rows_ needs
};

}  // namespace diptych::engine
