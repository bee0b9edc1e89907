// cpu.rms_norm, cpu.rope, cpu.swiglu and cpu.geglu: one row after another.
#include <algorithm>

#include "engine/kernels.h"
#include "engine/row_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Elements worth a thread of their own.
constexpr int64_t kRowsGrain = 1 << 13;

int64_t row_grain(int64_t width) { return std::max<int64_t>(kRowsGrain / width, 1); }

int64_t row_count(const Shape& shape) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return rows;
}

using Gated = void (*)(const float* gate, const float* up, size_t n, float* out);

Status lower_gated(const mil::Op& op, Lowering& lowering, Gated gated) {
  const Shape& shape = op.result()->type.shape;
  const StepRows rows = lowering.rows_of(*op.result());
  const int64_t width = shape.empty() ? 1 : shape.back();
  const Place gate = TRY(lowering.cells(*op.operand("gate")));
  const Place up = TRY(lowering.cells(*op.operand("up")));
  const Place result = TRY(lowering.result(*op.result()));
  const bool fills_padding = lowering.fills_padding(*op.result());
  Run run = [=](const Frame& frame) -> Status {
    const float *gates = frame.floats(gate), *ups = frame.floats(up);
    float* to = frame.floats(result);
    const int64_t count = frame.live(rows) * width;
    frame.pool.parallel_for(count, kRowsGrain, [&](int64_t begin, int64_t end) {
      gated(gates + begin, ups + begin, static_cast<size_t>(end - begin), to + begin);
    });
    if (fills_padding) frame.repeat_first(result, rows, width);
    return {};
  };
  lowering.emit(op, std::move(run), rows);
  return {};
}

}  // namespace

Status lower_cpu_rms_norm(const mil::Op& op, Lowering& lowering) {
  const mil::Value& x_value = *op.operand("x");
  const mil::Value* weight_value = op.operand("weight");
  const RmsNorm norm{static_cast<float>(TRY(mil::float_param(op, "epsilon", 0))),
                     TRY(mil::bool_param(op, "relative_epsilon", false))};
  const StepRows rows = lowering.rows_of(x_value);
  const int64_t width = x_value.type.shape.back();
  const bool fills_padding = lowering.fills_padding(*op.result());
  const Place x = TRY(lowering.cells(x_value));
  const bool weighted = weight_value != nullptr;
  const Place weight = weighted ? TRY(lowering.cells(*weight_value)) : Place{};
  const Place result = TRY(lowering.result(*op.result()));
  Run run = [=](const Frame& frame) -> Status {
    const float* from = frame.floats(x);
    const float* weights = weighted ? frame.floats(weight) : nullptr;
    float* to = frame.floats(result);
    const int64_t live = frame.live(rows);
    frame.pool.parallel_for(live, row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        rms_norm(norm, from + row * width, weights, static_cast<size_t>(width), to + row * width);
      }
    });
    if (fills_padding) frame.repeat_first(result, rows, width);
    return {};
  };
  lowering.emit(op, std::move(run), rows);
  return {};
}

Status lower_cpu_rope(const mil::Op& op, Lowering& lowering) {
  const Shape& shape = op.operand("x")->type.shape;
  const bool interleaved = TRY(mil::bool_param(op, "interleaved", false));
  const int64_t width = shape.back(), heads = row_count(shape) / shape.end()[-2];
  // Of each head.
  const StepRows positions{shape.end()[-2], rope_skips(op, "x", lowering.token_axes())};
  const bool fills_padding = lowering.fills_padding(*op.result());
  const int64_t table_width = interleaved ? width / 2 : width;
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place cos = TRY(lowering.cells(*op.operand("cos")));
  const Place sin = TRY(lowering.cells(*op.operand("sin")));
  const Place result = TRY(lowering.result(*op.result()));
  const auto rotate = interleaved ? rotate_neighbours : rotate_halves;
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const float *from = frame.floats(x), *cosines = frame.floats(cos), *sines = frame.floats(sin);
    float* to = frame.floats(result);
    const int64_t live = frame.live(positions);
    frame.pool.parallel_for(heads * live, row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t position = i % live, angles = position * table_width;
        const int64_t at = (i / live * positions.count + position) * width;
        rotate(from + at, cosines + angles, sines + angles, static_cast<size_t>(width), to + at);
      }
    });
    for (int64_t head = 0; fills_padding && head < heads; ++head) {
      frame.repeat_first(result, positions, width, head * positions.count * width);
    }
    return {};
  });
  return {};
}

Status lower_cpu_swiglu(const mil::Op& op, Lowering& lowering) {
  return lower_gated(op, lowering, swiglu);
}

Status lower_cpu_geglu(const mil::Op& op, Lowering& lowering) {
  return lower_gated(op, lowering, geglu);
}

}  // namespace diptych::engine
