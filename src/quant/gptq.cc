#include "quant/gptq.h"

#include <algorithm>
#include <memory>

#include "quant/grid.h"
#include "quant/group_size.h"
#include "quant/matrix_product.h"
#include "quant/mse.h"
#include "quant/palette.h"
#include "quant/round_lines.h"
#include "tensor/convert.h"
#include "tensor/pack.h"

namespace diptych::quant {

namespace {

// Inputs whose errors are handed on to all that come later together; among themselves they are, by
// kInputsAtOnce.
constexpr size_t kSpan = 8 * kInputsAtOnce;
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
    tables.rows_each_ = static_cast<size_t>(group_size(format, source.shape()));
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
        group_(palette_ ? width_ : static_cast<size_t>(group_size(format, source.shape()))),
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
    errors_.resize(lines * kSpan);
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
    for (size_t from = 0; from < width_; from += kSpan) {
      const size_t to = std::min(from + kSpan, width_);
      for (size_t begin = from; begin < to; begin += kInputsAtOnce) {
        const size_t end = std::min(begin + kInputsAtOnce, to);
        round_inputs(first, count, lines, begin, end, begin - from);
        hand_on(lines, begin, end, begin - from, end, to);
      }
      hand_on(lines, from, to, 0, to, width_);
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

  // Takes the errors of inputs [begin, end), which lie from errors_[at] on in each line, off what
  // is asked of the inputs [from, to).
  void hand_on(size_t lines, size_t begin, size_t end, size_t at, size_t from, size_t to) {
    add_product({errors_.data() + at, kSpan},
                {factor_.upper.data() + begin * width_ + from, width_}, end - begin, -1,
                {targets_.data() + from, width_, lines, to - from}, pool_);
  }

  // Rounds the inputs [begin, end) of all lines; their errors go to errors_[at] and on.
  void round_inputs(size_t first, size_t count, size_t lines, size_t begin, size_t end, size_t at) {
    // Judged lines have their values already.
    const size_t chosen = quotient_up(count), judged = quotient_up(lines - count);
    pool_.parallel_for(static_cast<int64_t>(chosen + judged), 1, [&](int64_t from, int64_t to) {
      const auto block = std::make_unique<LinesToRound>();
      block->upper = factor_.upper.data() + begin * width_ + begin;
      block->upper_stride = width_;
      block->inputs = end - begin;
      for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i) {
        const bool is_judged = i >= chosen;
        const size_t line = is_judged ? count + (i - chosen) * kLinesAtOnce : i * kLinesAtOnce;
        const size_t some = std::min(kLinesAtOnce, (is_judged ? lines : count) - line);
        take_targets(line, some, begin, *block);
        if (is_judged) {
          Judged judge{rounded_.data() + (line - count) * width_ + begin, width_, some};
          round_by_choice(*block, Judged::choose, &judge);
        } else if (palette_) {
          LookUp look_up{tables_, *block, first + line, some};
          round_by_choice(*block, LookUp::choose, &look_up);
        } else {
          take_scales(first + line, some, begin, *block);
          round_by_scale(*block);
        }
        if (!is_judged) give_codes(first + line, some, begin, *block);
        give_errors(line, some, at, *block);
      }
    });
  }

  static size_t quotient_up(size_t lines) { return (lines + kLinesAtOnce - 1) / kLinesAtOnce; }

  // The values of judged lines.
  struct Judged {
    const float* rounded;
    size_t width, count;

    static void choose(void* context, size_t input, const float* /*targets*/, float* values) {
      const auto& self = *static_cast<const Judged*>(context);
      std::fill_n(values, kLinesAtOnce, 0.0f);
      for (size_t l = 0; l < self.count; ++l) values[l] = self.rounded[l * self.width + input];
    }
  };

  // The nearest entries of tables.
  struct LookUp {
    const Tables& tables;
    LinesToRound& block;
    size_t row, count;

    static void choose(void* context, size_t input, const float* targets, float* values) {
      const auto& self = *static_cast<LookUp*>(context);
      std::fill_n(values, kLinesAtOnce, 0.0f);
      for (size_t l = 0; l < self.count; ++l) {
        const uint8_t code = self.tables.nearest(self.row + l, targets[l]);
        self.block.codes[input][l] = code;
        values[l] = self.tables.value(self.row + l, code);
      }
    }
  };

  // Lines [line, line + some) of what a block asks for; the others that it has room for are zeros.
  void take_targets(size_t line, size_t some, size_t begin, LinesToRound& block) const {
    for (size_t l = 0; l < kLinesAtOnce; ++l) {
      const float* const from = targets_.data() + (line + l) * width_ + begin;
      for (size_t i = 0; i < block.inputs; ++i) block.targets[i][l] = l < some ? from[i] : 0;
    }
  }

  void take_scales(size_t row, size_t some, size_t begin, LinesToRound& block) const {
    block.lowest = static_cast<float>(lowest_code(format_.bits));
    block.highest = static_cast<float>(highest_code(format_.bits));
    for (size_t i = 0; i < block.inputs; ++i) {
      const float* const from = scales_.data() + row * groups_ + factor_.order[begin + i] / group_;
      for (size_t l = 0; l < kLinesAtOnce; ++l)
        block.scales[i][l] = l < some ? from[l * groups_] : 1;
    }
  }

  void give_codes(size_t row, size_t some, size_t begin, const LinesToRound& block) {
    for (size_t l = 0; l < some; ++l) {
      int8_t* const to = codes_.data() + (row + l) * width_;
      for (size_t i = 0; i < block.inputs; ++i) {
        to[factor_.order[begin + i]] = static_cast<int8_t>(static_cast<int>(block.codes[i][l]));
      }
    }
  }

  void give_errors(size_t line, size_t some, size_t at, const LinesToRound& block) {
    for (size_t l = 0; l < some; ++l) {
      float* const to = errors_.data() + (line + l) * kSpan + at;
      for (size_t i = 0; i < block.inputs; ++i) to[i] = block.errors[i][l];
      line_errors_[line + l] += block.squares[l];
    }
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
