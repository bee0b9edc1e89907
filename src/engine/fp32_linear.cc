#include "engine/fp32_linear.h"

#include <algorithm>

#include "kernels/linear.h"

namespace diptych::engine {
namespace {

// With few rows of x, a panel stays in the first level of cache; with many, linear_float() wants
// rows enough to work off together, a part of their columns at a time.
constexpr int64_t kSmallPanelFloats = 1 << 12;
constexpr int64_t kFewRows = 4;

// Weight rows that are unpacked together.
int64_t panel_rows(int64_t columns, int64_t m_rows) {
  if (m_rows > kFewRows) return kernels::kFloatRowsAtOnce;
  return std::max<int64_t>(kSmallPanelFloats / std::max<int64_t>(columns, 1), 4);
}

void multiply_panel(const float* panel, int64_t count, int64_t columns, const float* x,
                    int64_t m_rows, float* y, int64_t y_stride) {
  kernels::linear_float(kernels::selected_isa(),
                        {reinterpret_cast<const std::byte*>(panel), DType::F32, count, columns}, x,
                        columns, m_rows, 0, count, y, y_stride);
}

}  // namespace

Result<Fp32Linear> Fp32Linear::open(const mil::Value& weight, int64_t m_rows, Lowering& lowering) {
  Fp32Linear linear;
  linear.columns_ = weight.type.shape[1];
  linear.rows_ = lowering.weight_rows(weight);
  if (!linear.rows_) {
    linear.cells_ = TRY(lowering.cells(weight));
    return linear;
  }
  linear.panel_rows_ = std::min(panel_rows(linear.columns_, m_rows), weight.type.shape[0]);
  linear.panel_offset_ = linear.rows_->scratch_size();
  lowering.thread_scratch(linear.panel_offset_ +
                          static_cast<uint64_t>(linear.panel_rows_ * linear.columns_) *
                              sizeof(float));
  return linear;
}

Status Fp32Linear::multiply(const Frame& frame, int thread, const float* x, int64_t m_rows,
                            int64_t begin, int64_t end, float* y, int64_t y_stride) const {
  if (!rows_) {
    multiply_panel(frame.floats(cells_) + begin * columns_, end - begin, columns_, x, m_rows,
                   y + begin, y_stride);
    return {};
  }
  std::byte* scratch = frame.scratch(thread);
  auto* panel = reinterpret_cast<float*>(scratch + panel_offset_);
  uint64_t overflows = 0;
  for (int64_t first = begin; first < end; first += panel_rows_) {
    const int64_t count = std::min(panel_rows_, end - first);
    for (int64_t p = 0; p < count; ++p) {
      TRY(rows_->read(first + p, panel + p * columns_, scratch, &overflows));
    }
    multiply_panel(panel, count, columns_, x, m_rows, y + first, y_stride);
  }
  frame.overflows += overflows;
  return {};
}

}  // namespace diptych::engine
