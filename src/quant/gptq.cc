#include "quant/gptq.h"

#include <algorithm>
#include <cmath>

#include "quant/grid.h"
#include "quant/matrix_product.h"
#include "quant/mse.h"
#include "quant/palette.h"
#include "quant/sum_of_rows.h"
#include "tensor/convert.h"
#include "tensor/pack.h"

namespace diptych::quant {

namespace {

constexpr size_t kBlock = 64;  // inputs whose errors are handed on together
constexpr int64_t kLines = 4;  // the least that a thread takes
// Rows are worked on together as far as a matrix of them takes so many floats.
constexpr size_t kMostFloats = size_t{1} << 24;
constexpr const char kInfiniteWeights[] =
    "holds an infinite or NaN value, which cannot be quantised; correct the checkpoint";
// One row in so many tells how rounding to nearest would do.
constexpr size_t kJudgedRows = 4;

// The values that the rows of a matrix can have when it becomes a palette: a table for each group
// of rows, fitted to their weights by importance.
class Tables {
 public:
  static Result<Tables> fit(const Weight& source, const Format& format,
                            std::span<const float> importance, ThreadPool& pool) {
    Tables tables;
    tables.rows_each_ = static_cast<size_t>(format.group == 0 ? source.rows() : format.group);
    const size_t count = static_cast<size_t>(source.rows()) / tables.rows_each_;
    tables.entries_.resize(count);
    std::vector<Status> failures(count);
    pool.parallel_for(static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
      ValueCounts counts;
      for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at) {
        counts.clear();
        failures[at] = tables.count(source, at, importance, counts);
        if (failures[at]) tables.entries_[at] = fit_palette(counts, format.bits, source.dtype());
      }
    });
    for (Status& failure : failures) TRY(std::move(failure));
    for (const auto& entries : tables.entries_) tables.nearest_.emplace_back(entries);
    return tables;
  }

  uint8_t nearest(size_t row, float weight) const { return nearest_[row / rows_each_](weight); }
  float value(size_t row, uint8_t code) const { return entries_[row / rows_each_][code]; }

  WeightRef weight(DType dtype) const {
    std::vector<double> all;
    for (const auto& entries : entries_) all.insert(all.end(), entries.begin(), entries.end());
    const auto count = static_cast<int64_t>(entries_.size());
    return constant_floats(dtype, {count, 1, static_cast<int64_t>(all.size()) / count, 1}, all);
  }

 private:
  Status count(const Weight& source, size_t at, std::span<const float> importance,
               ValueCounts& counts) const {
    for (size_t row = at * rows_each_; row < (at + 1) * rows_each_; ++row) {
      if (counts.add(TRY(read_floats(source, static_cast<int64_t>(row), 1)), importance)) continue;
      return invalid_data(kInfiniteWeights);
    }
    return {};
  }

  size_t rows_each_ = 1;
  std::vector<std::vector<float>> entries_;
  std::vector<NearestEntry> nearest_;
};

class Gptq {
 public:
  Gptq(const Weight& source, const Format& format, const GptqFactor& factor, ThreadPool& pool)
      : palette_(format.kind == Kind::Palette),
        source_(source),
        format_(format),
        factor_(factor),
        pool_(pool),
        width_(factor.width()),
        group_(format.group == 0 || palette_ ? width_ : static_cast<size_t>(format.group)),
        groups_(width_ / group_),
        rows_(static_cast<size_t>(source.rows())),
        codes_(rows_ * width_),
        scales_(rows_ * groups_) {}

  Result<GptqWeight> run() {
    if (palette_) tables_ = TRY(Tables::fit(source_, format_, factor_.importance, pool_));
    const size_t at_once = std::clamp<size_t>(kMostFloats / width_, 1, rows_);
    for (size_t first = 0; first < rows_; first += at_once) {
      TRY(quantize(first, std::min(at_once, rows_ - first)));
    }
    return result();
  }

 private:
  // Chooses scales and codes of rows [first, first + count).
  Status quantize(size_t first, size_t count) {
    weights_ = TRY(read_floats(source_, static_cast<int64_t>(first), static_cast<int64_t>(count)));
    if (!all_finite(weights_)) {
      return invalid_data(kInfiniteWeights);
    }
    judged_.clear();
    for (size_t row = 0; row < count; ++row) {
      if ((first + row) % kJudgedRows == 0) judged_.push_back(row);
    }
    // The judged rows come a second time, after the others, as rounding to nearest has them.
    const size_t lines = count + judged_.size();
    targets_.resize(lines * width_);
    rounded_.resize(judged_.size() * width_);
    errors_.resize(lines * kBlock);
    line_errors_.assign(lines, 0);
    const auto each_line = [&](const auto& body) {
      pool_.parallel_for(static_cast<int64_t>(lines), kLines, [&](int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; ++line) body(static_cast<size_t>(line));
      });
    };
    each_line([&](size_t line) {
      if (line < count) {
        choose_scales(first, line);
      } else {
        round_to_nearest(first, line - count, line);
      }
    });
    for (size_t begin = 0; begin < width_; begin += kBlock) {
      const size_t end = std::min(begin + kBlock, width_);
      each_line([&](size_t line) { round_block(first, count, line, begin, end); });
      add_product({errors_.data(), kBlock}, {factor_.upper.data() + begin * width_ + end, width_},
                  end - begin, -1, {targets_.data() + end, width_, lines, width_ - end}, pool_);
    }
    for (size_t i = 0; i < judged_.size(); ++i) {
      output_error_.chosen += line_errors_[judged_[i]];
      output_error_.rounded += line_errors_[count + i];
    }
    measure(first, count);
    return {};
  }

  void order_targets(size_t row, size_t line) {
    const float* const target = weights_.data() + row * width_;
    for (size_t i = 0; i < width_; ++i) targets_[line * width_ + i] = target[factor_.order[i]];
  }

  void choose_scales(size_t first, size_t row) {
    order_targets(row, row);
    if (palette_) return;
    const std::span<const float> target(weights_.data() + row * width_, width_);
    const std::span<const float> importance(factor_.importance);
    for (size_t g = 0; g < groups_; ++g) {
      scales_[(first + row) * groups_ + g] =
          mse_scale(target.subspan(g * group_, group_), importance.subspan(g * group_, group_),
                    format_.bits, source_.dtype());
    }
  }

  // The values that rounding to nearest gives a judged row.
  void round_to_nearest(size_t first, size_t judged, size_t line) {
    const size_t row = judged_[judged];
    order_targets(row, line);
    float* const rounded = rounded_.data() + judged * width_;
    if (palette_) {
      for (size_t i = 0; i < width_; ++i) {
        const float weight = targets_[line * width_ + i];
        rounded[i] = tables_.value(first + row, tables_.nearest(first + row, weight));
      }
      return;
    }
    std::vector<float> values(width_);
    std::vector<int8_t> codes(group_);
    for (size_t at = 0; at < width_; at += group_) {
      const std::span<const float> part(weights_.data() + row * width_ + at, group_);
      const float scale = largest_scale(part, format_.bits, source_.dtype());
      nearest_codes(part, scale, format_.bits, codes.data());
      for (size_t i = 0; i < group_; ++i) values[at + i] = scale * codes[i];
    }
    for (size_t i = 0; i < width_; ++i) rounded[i] = values[factor_.order[i]];
  }

  // Rounds the inputs [begin, end) of a line one after another.
  void round_block(size_t first, size_t count, size_t line, size_t begin, size_t end) {
    const auto lowest = static_cast<float>(lowest_code(format_.bits));
    const auto highest = static_cast<float>(highest_code(format_.bits));
    float* const targets = targets_.data() + line * width_;
    float* const errors = errors_.data() + line * kBlock;
    double squares = 0;
    for (size_t j = begin; j < end; ++j) {
      const float* const upper = factor_.upper.data() + j * width_;
      float value = 0;
      if (line < count && palette_) {
        const uint8_t code = tables_.nearest(first + line, targets[j]);
        codes_[(first + line) * width_ + factor_.order[j]] = static_cast<int8_t>(code);
        value = tables_.value(first + line, code);
      } else if (line < count) {
        const size_t input = factor_.order[j];
        const float scale = scales_[(first + line) * groups_ + input / group_];
        const float code = std::clamp(std::nearbyint(targets[j] / scale), lowest, highest);
        codes_[(first + line) * width_ + input] = static_cast<int8_t>(code);
        value = scale * code;
      } else {
        value = rounded_[(line - count) * width_ + j];
      }
      const float error = (targets[j] - value) / upper[j];
      errors[j - begin] = error;
      squares += static_cast<double>(error) * static_cast<double>(error);
      add_rows({upper + j + 1, 0, &error, 1, 1}, -1, targets + j + 1, end - j - 1);
    }
    line_errors_[line] += squares;
  }

  // How far the codes of rows [first, first + count) are from the weights themselves.
  void measure(size_t first, size_t count) {
    QuantizationError error;
    for (size_t i = 0; palette_ && i < count * width_; ++i) {
      const size_t row = first + i / width_;
      const auto code = static_cast<uint8_t>(codes_[first * width_ + i]);
      const auto weight = static_cast<double>(weights_[i]);
      const double off = weight - static_cast<double>(tables_.value(row, code));
      error += {off * off, weight * weight};
    }
    for (size_t g = 0; !palette_ && g < count * groups_; ++g) {
      error += deviation(std::span(weights_).subspan(g * group_, group_),
                         codes_.data() + first * width_ + g * group_, scales_[first * groups_ + g]);
    }
    meter_->add(error);
  }

  Result<GptqWeight> result() {
    const Shape& shape = source_.shape();
    std::vector<std::byte> packed;
    pack_bits(std::as_bytes(std::span(codes_)), static_cast<unsigned>(format_.bits), packed);
    WeightRef codes = TRY(memory_weight({code_type(format_), shape}, std::move(packed)));
    QuantizedWeight quantized{std::move(codes), nullptr, meter_};
    if (palette_) {
      quantized.table = tables_.weight(source_.dtype());
    } else {
      const std::vector<double> scales(scales_.begin(), scales_.end());
      quantized.scales =
          constant_floats(source_.dtype(), {shape[0], static_cast<int64_t>(groups_)}, scales);
    }
    return GptqWeight{std::move(quantized), output_error_};
  }

  const bool palette_;
  const Weight& source_;
  const Format format_;
  const GptqFactor& factor_;
  ThreadPool& pool_;
  const size_t width_, group_, groups_, rows_;
  std::vector<int8_t> codes_;  // [rows, width], by input
  std::vector<float> scales_;  // [rows, groups]; of a palette nothing
  Tables tables_;              // of a palette
  // Of the rows at hand: the weights; by line and position what the errors so far ask of them, the
  // errors of a block, and the sum of their squares.
  std::vector<float> weights_, targets_, errors_;
  std::vector<double> line_errors_;
  std::vector<size_t> judged_;  // rows
  std::vector<float> rounded_;  // [judged rows, width], by position
  OutputError output_error_;
  std::shared_ptr<ErrorMeter> meter_ = std::make_shared<ErrorMeter>();
};

}  // namespace

Result<GptqWeight> quantize_gptq(const Weight& source, const Format& format,
                                 const GptqFactor& factor, std::string_view tensor,
                                 ThreadPool& pool) {
  TRY(check(format));
  const TensorType& type = source.type();
  const auto width = static_cast<int64_t>(factor.width());
  if (type.rank() != 2 || type.shape[1] != width ||
      (format.group != 0 && type.shape[grouped(format).axis] % format.group != 0) ||
      (type.dtype != DType::F16 && type.dtype != DType::F32)) {
    return invalid_argument(
        "{} {}: expected an fp16 or fp32 matrix of {} columns, which groups of {} divide", tensor,
        diptych::to_string(type), width, format.group);
  }
  return within(tensor, Gptq(source, format, factor, pool).run());
}

}  // namespace diptych::quant
