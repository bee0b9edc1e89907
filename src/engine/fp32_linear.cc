#include "engine/fp32_linear.h"

#include <algorithm>
#include <vector>

#include "kernels/linear.h"

namespace diptych::engine {
namespace {

// Weight rows that are unpacked together: with many rows of x, a panel that stays in the second
// level of cache while all of them meet it; with few, one that stays in the first.
constexpr int64_t kPanelFloats = 1 << 15, kSmallPanelFloats = 1 << 12;
constexpr int64_t kFewRows = 4;

int64_t panel_rows(int64_t columns, int64_t m_rows) {
  const int64_t floats = m_rows <= kFewRows ? kSmallPanelFloats : kPanelFloats;
  return std::max<int64_t>(floats / columns, 4);
}

void multiply_panel(const float* panel, int64_t count, int64_t columns, const float* x,
                    int64_t m_rows, float* y, int64_t y_stride) {
  kernels::linear_float(kernels::selected_isa(),
                        {reinterpret_cast<const std::byte*>(panel), DType::F32, count, columns}, x,
                        columns, m_rows, 0, count, y, y_stride);
}

}  // namespace

Result<Fp32Linear> Fp32Linear::open(const mil::Value& weight, Lowering& lowering) {
  Fp32Linear linear;
  linear.columns_ = weight.type.shape[1];
  linear.rows_ = lowering.weight_rows(weight);
  if (!linear.rows_) linear.cells_ = TRY(lowering.cells(weight));
  return linear;
}

Status Fp32Linear::multiply(const Frame& frame, const float* x, int64_t m_rows, int64_t begin,
                            int64_t end, float* y, int64_t y_stride) const {
  if (!rows_) {
    multiply_panel(frame.floats(cells_) + begin * columns_, end - begin, columns_, x, m_rows,
                   y + begin, y_stride);
    return {};
  }
  WeightRows::Scratch& scratch = WeightRows::scratch_of_thread();
  // Grows once, as that does.
  static thread_local std::vector<float> panel;
  const int64_t rows_at_once = panel_rows(columns_, m_rows);
  const auto needed = static_cast<size_t>(rows_at_once * columns_);
  if (panel.size() < needed) panel.resize(needed);
  uint64_t overflows = 0;
  for (int64_t first = begin; first < end; first += rows_at_once) {
    const int64_t count = std::min(rows_at_once, end - first);
    for (int64_t p = 0; p < count; ++p) {
      TRY(rows_->read(first + p, panel.data() + p * columns_, scratch, &overflows));
    }
    multiply_panel(panel.data(), count, columns_, x, m_rows, y + first, y_stride);
  }
  frame.overflows += overflows;
  return {};
}

}  // namespace diptych::engine
