// linear and cpu.linear in fp32: each element of a result is one dot product, computed the same way
// however many rows there are. Weights are read by rows, a panel at a time.
#include <algorithm>

#include "engine/kernels.h"
#include "engine/vector_ops.h"

namespace diptych::engine {
namespace {

// Multiply-adds worth a thread of their own.
constexpr int64_t kGrain = 1 << 16;

// Weight rows that are unpacked together, and activation rows that meet them while both are in the
// core's own caches.
constexpr int64_t kPanelRows = 8;
constexpr int64_t kActivationRows = 16;

// Rows [first, first + count) of the whole weight.
struct Segment {
  int64_t first, count;
  std::optional<WeightRows> rows;  // or else in cells:
  Place weight;
  std::optional<Place> bias;
};

struct Shapes {
  int64_t rows;     // of x: all its axes but the last
  int64_t in, out;  // features
};

// out[t, o] = x[t] . panel[o - first] + bias[o - first] for all t and the panel's o.
void multiply_panel(const Shapes& shape, const float* panel, int64_t first, int64_t count,
                    const float* x, const float* bias, float* out) {
  const auto in = static_cast<size_t>(shape.in);
  for (int64_t t = 0; t < shape.rows; t += kActivationRows) {
    const int64_t some = std::min(kActivationRows, shape.rows - t);
    for (int64_t p = 0; p < count; ++p) {
      float* column = out + t * shape.out + first + p;
      dot_rows(panel + p * shape.in, x + t * shape.in, in, static_cast<size_t>(some), in, column,
               static_cast<size_t>(shape.out));
      if (bias == nullptr) continue;
      for (int64_t i = 0; i < some; ++i) column[i * shape.out] += bias[p];
    }
  }
}

// Rows [begin, end) of one segment.
Status multiply_segment(const Frame& frame, const Shapes& shape, const Segment& segment,
                        int64_t begin, int64_t end, const float* x, float* out) {
  const float* bias = segment.bias ? frame.floats(*segment.bias) + begin : nullptr;
  if (!segment.rows) {
    multiply_panel(shape, frame.floats(segment.weight) + begin * shape.in, segment.first + begin,
                   end - begin, x, bias, out);
    return {};
  }
  WeightRows::Scratch& scratch = WeightRows::scratch_of_thread();
  // Grows once, as that does.
  static thread_local std::vector<float> panel;
  const auto needed = static_cast<size_t>(kPanelRows * shape.in);
  if (panel.size() < needed) panel.resize(needed);
  uint64_t overflows = 0;
  for (int64_t first = begin; first < end; first += kPanelRows) {
    const int64_t count = std::min(kPanelRows, end - first);
    for (int64_t p = 0; p < count; ++p) {
      TRY(segment.rows->read(first + p, panel.data() + p * shape.in, scratch, &overflows));
    }
    multiply_panel(shape, panel.data(), segment.first + first, count, x,
                   bias == nullptr ? nullptr : bias + (first - begin), out);
  }
  frame.overflows += overflows;
  return {};
}

Status lower_segments(const mil::Op& op, const std::vector<mil::Value*>& weights,
                      const std::vector<mil::Value*>& biases, Lowering& lowering) {
  const mil::Value& x_value = *op.operand("x");
  Shapes shape{1, x_value.type.shape.back(), op.result()->type.shape.back()};
  for (size_t i = 0; i + 1 < x_value.type.shape.size(); ++i) shape.rows *= x_value.type.shape[i];

  const Place x = TRY(lowering.cells(x_value));
  std::vector<Segment> segments;
  int64_t first = 0;
  bool by_rows = false;
  for (size_t i = 0; i < weights.size(); ++i) {
    Segment segment{first, weights[i]->type.shape[0], lowering.weight_rows(*weights[i]), {}, {}};
    if (!segment.rows) segment.weight = TRY(lowering.cells(*weights[i]));
    if (!biases.empty()) segment.bias = TRY(lowering.cells(*biases[i]));
    by_rows = by_rows || segment.rows.has_value();
    first += segment.count;
    segments.push_back(std::move(segment));
  }
  const Place result = TRY(lowering.result(*op.result()));
  const int64_t row_cost = std::max<int64_t>(shape.in * (shape.rows + (by_rows ? 2 : 0)), 1);
  const int64_t grain = std::max<int64_t>(kGrain / row_cost, 1);
  lowering.emit(op, [=](const Frame& frame) -> Status {
    return parallel_status(frame.pool, shape.out, grain, [&](int64_t begin, int64_t end) -> Status {
      for (const Segment& segment : segments) {
        const int64_t from = std::max(begin, segment.first) - segment.first;
        const int64_t to = std::min(end, segment.first + segment.count) - segment.first;
        if (from >= to) continue;
        TRY(multiply_segment(frame, shape, segment, from, to, frame.floats(x),
                             frame.floats(result)));
      }
      return {};
    });
  });
  return {};
}

}  // namespace

Status lower_linear(const mil::Op& op, Lowering& lowering) {
  return lower_segments(op, op.operand_list("weight"), op.operand_list("bias"), lowering);
}

Status lower_cpu_linear_fp32(const mil::Op& op, Lowering& lowering) {
  return lower_segments(op, op.operand_list("weights"), op.operand_list("biases"), lowering);
}

}  // namespace diptych::engine
