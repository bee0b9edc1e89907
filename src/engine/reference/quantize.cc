// quantize and dequantize: floats to integers of 8 bits and back, with a scale and a zero point for
// all elements or for each slice of an axis.
#include <algorithm>
#include <optional>

#include "engine/kernels.h"
#include "engine/vector_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kQuantizeGrain = 1 << 14;  // elements worth a thread of their own

// The scale and the zero point of element i are those of slice i / inner % slices.
struct Quantization {
  Place scale;
  std::optional<Place> zero_point;
  int64_t slices = 1, inner = 1, count = 1;
  bool zero_per_slice = false;

  static Result<Quantization> open(const mil::Op& op, Lowering& lowering) {
    const mil::Value &input = *op.operand("input"), &scale = *op.operand("scale"),
                     *zero_point = op.operand("zero_point");
    const Shape& shape = input.type.shape;
    Quantization q{TRY(lowering.cells(scale)), std::nullopt};
    q.count = static_cast<int64_t>(TRY(element_count(shape)));
    q.inner = q.count;
    if (!scale.type.shape.empty()) {
      const auto axis = static_cast<size_t>(
          TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis")), input.type.rank())));
      q.slices = shape[axis];
      q.inner = 1;
      for (size_t i = axis + 1; i < shape.size(); ++i) q.inner *= shape[i];
    }
    if (zero_point != nullptr) {
      q.zero_point = TRY(lowering.cells(*zero_point));
      q.zero_per_slice = !zero_point->type.shape.empty();
    }
    return q;
  }

  // Calls visit(first element, number, scale, zero point) for runs that make up all elements.
  template <class Visit>
  void walk(const Frame& frame, Visit visit) const {
    frame.pool.parallel_for(count, kQuantizeGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t run = i / inner, slice = run % slices;
        const int64_t next = std::min(end, (run + 1) * inner);
        const int32_t zero = zero_point ? frame.ints(*zero_point)[zero_per_slice ? slice : 0] : 0;
        visit(i, static_cast<size_t>(next - i), frame.floats(scale)[slice],
              static_cast<float>(zero));
        i = next;
      }
    });
  }
};

}  // namespace

// The nearest integer, ties to even, within the type. What is no number becomes the zero point.
Status lower_quantize(const mil::Op& op, Lowering& lowering) {
  const Place input = TRY(lowering.cells(*op.operand("input")));
  const Quantization q = TRY(Quantization::open(op, lowering));
  const bool is_signed = op.result()->type.dtype == DType::Int8;
  const float low = is_signed ? -128.0f : 0.0f, high = is_signed ? 127.0f : 255.0f;
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const float* x = frame.floats(input);
    int32_t* out = frame.ints(result);
    q.walk(frame, [&](int64_t i, size_t n, float scale, float zero) {
      floats_to_steps(x + i, n, {scale, zero, low, high}, out + i);
    });
    return {};
  });
  return {};
}

Status lower_dequantize(const mil::Op& op, Lowering& lowering) {
  const Place input = TRY(lowering.cells(*op.operand("input")));
  const Quantization q = TRY(Quantization::open(op, lowering));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int32_t* x = frame.ints(input);
    float* out = frame.floats(result);
    q.walk(frame, [&](int64_t i, size_t n, float scale, float zero) {
      steps_to_floats(x + i, n, {scale, zero, 0, 0}, out + i);
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
