#include "quant/gptq.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include "quant/grid.h"
#include "quant/mse.h"
#include "quant/sum_of_rows.h"
#include "tensor/convert.h"

namespace diptych::quant {

namespace {

// Of the drift, as much as the source makes up for: all of it would fit the text at hand too well.
constexpr float kDriftShare = 0.5f;
constexpr size_t kBlock = 64;  // inputs whose errors are handed on together
constexpr int64_t kRows = 16;  // rows that use a block of the factor while it is in a cache

// The weights of one row, by position in the factor's order, and what becomes of them.
struct Row {
  std::vector<float> weights;  // consumed
  std::vector<float> scales;   // by position
  std::vector<int8_t> codes;   // by position
  std::vector<float> errors;   // of a block
  double output_error = 0;
};

// Goes once through the inputs [first, end) of a row: takes the codes that it has, or chooses them.
void round_block(const GptqFactor& factor, int bits, bool choose, size_t first, size_t end,
                 Row& row) {
  const size_t width = factor.width();
  const auto lowest = static_cast<float>(lowest_code(bits));
  const auto highest = static_cast<float>(highest_code(bits));
  for (size_t j = first; j < end; ++j) {
    const float* upper = factor.upper.data() + j * width;
    const float scale = row.scales[j], weight = row.weights[j];
    if (choose) {
      row.codes[j] =
          static_cast<int8_t>(std::clamp(std::nearbyint(weight / scale), lowest, highest));
    }
    const float error = (weight - scale * row.codes[j]) / upper[j];
    row.errors[j - first] = error;
    row.output_error += static_cast<double>(error) * static_cast<double>(error);
    for (size_t k = j + 1; k < end; ++k) row.weights[k] -= error * upper[k];
  }
  add_rows({factor.upper.data() + first * width + end, width, row.errors.data(), 1, end - first},
           -1, row.weights.data() + end, width - end);
}

class Gptq {
 public:
  Gptq(const Weight& source, const Format& format, const GptqFactor& factor, const Drift& drift)
      : source_(source),
        format_(format),
        factor_(factor),
        drift_(drift),
        width_(factor.width()),
        group_(format.group == 0 ? width_ : static_cast<size_t>(format.group)),
        codes_(static_cast<size_t>(source.rows()) * width_),
        scales_(static_cast<size_t>(source.rows()) * (width_ / group_)) {}

  // Rows [first, first + count).
  Status run(int64_t first, int64_t count) {
    const std::vector<float> weights = TRY(read_floats(source_, first, count));
    if (!all_finite(weights)) {
      return invalid_data(
          "holds an infinite or NaN value, which cannot be quantised; correct the "
          "checkpoint");
    }
    const auto rows = static_cast<size_t>(count);
    std::vector<Row> chosen(rows), rounded(rows);
    for (size_t r = 0; r < rows; ++r) {
      const std::span<const float> row = std::span(weights).subspan(r * width_, width_);
      const std::vector<float> target = corrected(row);
      if (!all_finite(target)) return invalid_data(kInfiniteInputs);
      prepare(target, target, true, chosen[r]);
      prepare(target, row, false, rounded[r]);
    }
    for (size_t at = 0; at < width_; at += kBlock) {
      const size_t end = std::min(at + kBlock, width_);
      for (size_t r = 0; r < rows; ++r) {
        round_block(factor_, format_.bits, true, at, end, chosen[r]);
        round_block(factor_, format_.bits, false, at, end, rounded[r]);
      }
    }
    OutputError output_error;
    for (size_t r = 0; r < rows; ++r) {
      const Row& best = chosen[r].output_error <= rounded[r].output_error ? chosen[r] : rounded[r];
      store(static_cast<size_t>(first) + r, best);
      output_error.chosen += best.output_error;
      output_error.rounded += rounded[r].output_error;
    }
    QuantizationError error;
    for (size_t g = 0; g < rows * (width_ / group_); ++g) {
      const size_t at = static_cast<size_t>(first) * (width_ / group_) + g;
      error += deviation(std::span(weights).subspan(g * group_, group_),
                         codes_.data() + at * group_, scales_[at]);
    }
    const std::lock_guard lock(mutex_);
    output_error_.chosen += output_error.chosen;
    output_error_.rounded += output_error.rounded;
    meter_->add(error);
    return {};
  }

  Result<GptqWeight> result() const {
    const Shape& shape = source_.shape();
    const bool narrow = format_.bits == 4;
    std::vector<std::byte> packed((codes_.size() + (narrow ? 1 : 0)) / (narrow ? 2 : 1));
    for (size_t i = 0; i < codes_.size(); ++i) {
      const auto code = static_cast<uint8_t>(codes_[i]);
      packed[narrow ? i / 2 : i] |= std::byte(narrow ? (code & 15) << (i % 2 * 4) : code);
    }
    std::vector<double> scales(scales_.begin(), scales_.end());
    WeightRef codes = TRY(memory_weight({code_type(format_.bits), shape}, std::move(packed)));
    const Shape scale_shape{shape[0], static_cast<int64_t>(width_ / group_)};
    return GptqWeight{
        {std::move(codes), constant_floats(source_.dtype(), scale_shape, scales), meter_},
        output_error_};
  }

 private:
  // Weights that make up for a share s of the drift: w + s w D (H + damping)^-1.
  std::vector<float> corrected(std::span<const float> weights) const {
    std::vector<float> result(weights.begin(), weights.end());
    std::vector<float> drifted(width_), ordered(width_), change(width_);
    add_rows({drift_.row(0), width_, weights.data(), 1, width_}, kDriftShare, drifted.data(),
             width_);
    for (size_t i = 0; i < width_; ++i) ordered[i] = drifted[factor_.order[i]];
    for (size_t i = 0; i < width_; ++i) {
      const float* upper = factor_.upper.data() + i * width_ + i;
      const float along = dot(ordered.data() + i, upper, width_ - i);
      add_rows({upper, 0, &along, 1, 1}, 1, change.data() + i, width_ - i);
    }
    for (size_t i = 0; i < width_; ++i) result[factor_.order[i]] += change[i];
    return result;
  }

  // A row that stands for `target`; scales and, unless they are searched for, codes are those of
  // `weights`.
  void prepare(std::span<const float> target, std::span<const float> weights, bool search,
               Row& row) const {
    row.weights.resize(width_);
    row.scales.resize(width_);
    row.codes.resize(width_);
    row.errors.resize(kBlock);
    std::vector<float> scales(width_ / group_);
    std::vector<int8_t> codes(width_);
    const std::span<const float> importance(factor_.importance);
    for (size_t g = 0; g < scales.size(); ++g) {
      const auto part = weights.subspan(g * group_, group_);
      scales[g] = search ? mse_scale(part, importance.subspan(g * group_, group_), format_.bits,
                                     source_.dtype())
                         : largest_scale(part, format_.bits, source_.dtype());
      nearest_codes(part, scales[g], format_.bits, codes.data() + g * group_);
    }
    for (size_t i = 0; i < width_; ++i) {
      const size_t input = factor_.order[i];
      row.weights[i] = target[input];
      row.scales[i] = scales[input / group_];
      row.codes[i] = codes[input];
    }
  }

  void store(size_t index, const Row& row) {
    for (size_t i = 0; i < width_; ++i) {
      const size_t input = factor_.order[i];
      codes_[index * width_ + input] = row.codes[i];
      scales_[index * (width_ / group_) + input / group_] = row.scales[i];
    }
  }

  const Weight& source_;
  const Format format_;
  const GptqFactor& factor_;
  const Drift& drift_;
  const size_t width_, group_;
  std::vector<int8_t> codes_;
  std::vector<float> scales_;
  std::mutex mutex_;
  OutputError output_error_;
  std::shared_ptr<ErrorMeter> meter_ = std::make_shared<ErrorMeter>();
};

}  // namespace

Result<GptqWeight> quantize_gptq(const Weight& source, const Format& format,
                                 const GptqFactor& factor, const Drift& drift,
                                 std::string_view tensor, ThreadPool& pool) {
  TRY(check(format));
  const TensorType& type = source.type();
  const auto width = static_cast<int64_t>(factor.width());
  if (type.rank() != 2 || type.shape[1] != width ||
      (format.group != 0 && width % format.group != 0) ||
      (type.dtype != DType::F16 && type.dtype != DType::F32)) {
    return invalid_argument(
        "{} {}: expected an fp16 or fp32 matrix of {} columns, which groups of {} divide", tensor,
        diptych::to_string(type), width, format.group);
  }
  Gptq gptq(source, format, factor, drift);
  std::mutex mutex;
  std::optional<Error> failure;
  pool.parallel_for(source.rows(), kRows, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kRows) {
      const Status status = gptq.run(first, std::min(kRows, end - first));
      if (status) continue;
      const std::lock_guard lock(mutex);
      failure = status.error();
      return;
    }
  });
  if (failure) return tl::unexpected(std::move(*failure).within(tensor));
  return gptq.result();
}

}  // namespace diptych::quant
