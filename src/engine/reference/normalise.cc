// Normalisations: x less a mean, over a deviation, by a factor plus an offset. Sums are in fp32.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/kernels.h"
#include "engine/rows.h"
#include "engine/vector_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kNormaliseGrain = 1 << 14;  // elements worth a thread of their own

// A factor and an offset that may be absent: 1 and 0.
struct Scaling {
  std::optional<Place> gamma, beta;

  static Result<Scaling> open(const mil::Op& op, Lowering& lowering) {
    Scaling scaling;
    if (const auto* gamma = op.operand("gamma")) scaling.gamma = TRY(lowering.cells(*gamma));
    if (const auto* beta = op.operand("beta")) scaling.beta = TRY(lowering.cells(*beta));
    return scaling;
  }
  float factor(const Frame& frame, int64_t i) const { return gamma ? frame.floats(*gamma)[i] : 1; }
  float offset(const Frame& frame, int64_t i) const { return beta ? frame.floats(*beta)[i] : 0; }
};

Result<float> epsilon_of(const mil::Op& op, double fallback) {
  return static_cast<float>(TRY(mil::number_param(op, "epsilon", fallback)));
}

std::vector<int64_t> axes_from(int64_t first, int64_t rank) {
  std::vector<int64_t> axes(static_cast<size_t>(rank - first));
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

// In place: mean 0 and deviation 1.
void standardise(float* row, int64_t n, float epsilon) {
  const float mean = sum(row, static_cast<size_t>(n)) / static_cast<float>(n);
  float squares = 0;
  for (int64_t i = 0; i < n; ++i) {
    row[i] -= mean;
    squares += row[i] * row[i];
  }
  const float deviation = std::sqrt(squares / static_cast<float>(n) + epsilon);
  for (int64_t i = 0; i < n; ++i) row[i] /= deviation;
}

}  // namespace

// gamma and beta belong to the elements of a row.
Status lower_layer_norm(const mil::Op& op, Lowering& lowering) {
  const float epsilon = TRY(epsilon_of(op, 1e-5));
  const auto axes = TRY(mil::resolve_axes_param(op, "axes", op.operand("x")->type.rank()));
  const Scaling scaling = TRY(Scaling::open(op, lowering));
  return emit_row_map<float>(
      op, lowering, axes, kNormaliseGrain, [=](float* row, int64_t n, int64_t, const Frame& frame) {
        standardise(row, n, epsilon);
        for (int64_t i = 0; i < n; ++i) {
          row[i] = row[i] * scaling.factor(frame, i) + scaling.offset(frame, i);
        }
      });
}

// x [n, channels, ...]; gamma and beta belong to the channels, which are the rows.
Status lower_instance_norm(const mil::Op& op, Lowering& lowering) {
  const float epsilon = TRY(epsilon_of(op, 1e-5));
  const TensorType& x = op.operand("x")->type;
  const Scaling scaling = TRY(Scaling::open(op, lowering));
  return emit_row_map<float>(
      op, lowering, axes_from(2, x.rank()), kNormaliseGrain,
      [=, channels = x.shape[1]](float* row, int64_t n, int64_t index, const Frame& frame) {
        standardise(row, n, epsilon);
        const float factor = scaling.factor(frame, index % channels);
        const float offset = scaling.offset(frame, index % channels);
        for (int64_t i = 0; i < n; ++i) row[i] = row[i] * factor + offset;
      });
}

// The same with a mean and a variance that are given.
Status lower_batch_norm(const mil::Op& op, Lowering& lowering) {
  const float epsilon = TRY(epsilon_of(op, 1e-5));
  const TensorType& x = op.operand("x")->type;
  const Scaling scaling = TRY(Scaling::open(op, lowering));
  const Place mean = TRY(lowering.cells(*op.operand("mean")));
  const Place variance = TRY(lowering.cells(*op.operand("variance")));
  return emit_row_map<float>(
      op, lowering, axes_from(2, x.rank()), kNormaliseGrain,
      [=, channels = x.shape[1]](float* row, int64_t n, int64_t index, const Frame& frame) {
        const int64_t channel = index % channels;
        const float centre = frame.floats(mean)[channel];
        const float deviation = std::sqrt(frame.floats(variance)[channel] + epsilon);
        const float factor = scaling.factor(frame, channel);
        const float offset = scaling.offset(frame, channel);
        for (int64_t i = 0; i < n; ++i) row[i] = (row[i] - centre) / deviation * factor + offset;
      });
}

// Each group of the last three axes, over the root of its sum of squares.
Status lower_l2_norm(const mil::Op& op, Lowering& lowering) {
  const float epsilon = TRY(epsilon_of(op, 1e-6));
  const int64_t rank = op.operand("x")->type.rank();
  return emit_row_map<float>(op, lowering, axes_from(rank - 3, rank), kNormaliseGrain,
                             [=](float* row, int64_t n, int64_t, const Frame&) {
                               float squares = 0;
                               for (int64_t i = 0; i < n; ++i) squares += row[i] * row[i];
                               const float length = std::sqrt(squares + epsilon);
                               for (int64_t i = 0; i < n; ++i) row[i] /= length;
                             });
}

// Each element over a power of the mean square of the channels around it. As in Core ML channels
// are the third axis from the end in rank 3, the second in others.
Status lower_local_response_norm(const mil::Op& op, Lowering& lowering) {
  const int64_t size = TRY(mil::int_param(op, "size"));
  const auto alpha = static_cast<float>(TRY(mil::number_param(op, "alpha", 1e-4)));
  const auto beta = static_cast<float>(TRY(mil::number_param(op, "beta", 0.75)));
  const auto k = static_cast<float>(TRY(mil::number_param(op, "k", 1)));
  const int64_t axis = op.operand("x")->type.rank() == 3 ? 0 : 1;
  return emit_row_map<float>(
      op, lowering, {axis}, kNormaliseGrain, [=](float* row, int64_t n, int64_t, const Frame&) {
        std::vector<float> squares(static_cast<size_t>(n));
        std::transform(row, row + n, squares.begin(), [](float v) { return v * v; });
        for (int64_t i = 0; i < n; ++i) {
          const int64_t first = std::max<int64_t>(i - size / 2, 0);
          const int64_t last = std::min<int64_t>(i - size / 2 + size, n);
          float total = 0;
          for (int64_t j = first; j < last; ++j) total += squares[static_cast<size_t>(j)];
          row[i] /= std::pow(k + alpha / static_cast<float>(size) * total, beta);
        }
      });
}

}  // namespace diptych::engine
