#include "quant/palette_weight.h"

#include <algorithm>
#include <string>
#include <vector>

#include "quant/group_size.h"
#include "quant/made_weight.h"
#include "quant/palette.h"
#include "tensor/convert.h"

namespace diptych::quant {

namespace {

// The source is read in blocks of about this size, which stay in a core's cache.
constexpr uint64_t kReadBytes = 128 << 10;

// What the indices and the tables of one weight have in common. Several threads read it at once.
class Palettizer {
 public:
  Palettizer(WeightRef source, const Format& format, std::string tensor)
      : source_(std::move(source)),
        format_(format),
        tensor_(std::move(tensor)),
        rows_per_table_(group_size(format, source_->shape())),
        tables_(static_cast<size_t>(source_->rows() / rows_per_table_)) {}

  TensorType codes_type() const { return {code_type(format_), source_->shape()}; }
  TensorType table_type() const {
    return {source_->dtype(),
            {static_cast<int64_t>(tables_.size()), 1, int64_t{1} << format_.bits, 1}};
  }
  std::shared_ptr<const ErrorMeter> error() const { return error_; }

  Status read_codes(int64_t first, int64_t count, MutableBytes codes) const {
    auto* out = reinterpret_cast<uint8_t*>(codes.data());
    QuantizationError error;
    const int64_t last = first + count;
    for (int64_t row = first; row < last;) {
      const int64_t group = row / rows_per_table_;
      const int64_t end = std::min((group + 1) * rows_per_table_, last);
      const std::vector<float> table = TRY(table_of(group));
      const NearestEntry nearest(table);
      const auto encode = [&](std::span<const float> weights) -> Status {
        for (const float weight : weights) {
          const uint8_t code = nearest(weight);
          *out++ = code;
          const double off = static_cast<double>(weight) - static_cast<double>(table[code]);
          error.squares += off * off;
          error.source_squares += static_cast<double>(weight) * static_cast<double>(weight);
        }
        return {};
      };
      TRY(for_rows(row, end, encode));
      row = end;
    }
    error_->add(error);
    return {};
  }

  Status read_tables(int64_t first, int64_t count, MutableBytes tables) const {
    std::byte* out = tables.data();
    for (int64_t group = first; group < first + count; ++group) {
      const std::vector<float> table = TRY(table_of(group));
      convert_floats(reinterpret_cast<const std::byte*>(table.data()), DType::F32, table.size(),
                     out, source_->dtype());
      out += table.size() * (source_->dtype() == DType::F16 ? 2 : 4);
    }
    return {};
  }

  void identify(Hasher& hasher, DigestCache& cache) const {
    hasher.add(std::string_view("palette"));
    hasher.add(static_cast<uint64_t>(format_.bits));
    hasher.add(static_cast<uint64_t>(format_.group));
    hasher.add(source_->digest(cache));
  }

 private:
  Result<std::vector<float>> table_of(int64_t group) const {
    std::vector<float>& table = tables_[static_cast<size_t>(group)];
    // The only table is made while the others wait, as they need it too; of many, threads make
    // different ones.
    std::unique_lock lock(mutex_);
    if (!table.empty()) return table;
    if (tables_.size() > 1) lock.unlock();
    std::vector<float> made = TRY(fit(group));
    if (!lock.owns_lock()) lock.lock();
    return table = std::move(made);
  }

  Result<std::vector<float>> fit(int64_t group) const {
    ValueCounts counts;
    int64_t row = group * rows_per_table_;
    const auto count = [&](std::span<const float> weights) -> Status {
      if (!counts.add(weights, {})) {
        return invalid_data(
            "{} {}: row {} holds an infinite or NaN value, which cannot be quantised; correct the "
            "checkpoint{}",
            tensor_, diptych::to_string(source_->type()), row,
            source_->dtype() == DType::F16 ? " or export in fp32 if the value exceeds fp16" : "");
      }
      ++row;
      return {};
    };
    TRY(for_rows(row, row + rows_per_table_, count));
    return fit_palette(counts, format_.bits, source_->dtype());
  }

  // Calls use(weights) for each of the rows.
  template <class Use>
  Status for_rows(int64_t first, int64_t last, const Use& use) const {
    const auto columns = static_cast<size_t>(source_->shape()[1]);
    const uint64_t row_bytes = source_->row_bytes();
    const auto at_once =
        static_cast<int64_t>(std::max<uint64_t>(1, kReadBytes / std::max<uint64_t>(1, row_bytes)));
    std::vector<std::byte> block;
    std::vector<float> weights(columns);
    for (int64_t row = first; row < last; row += at_once) {
      const int64_t rows = std::min(at_once, last - row);
      block.resize(static_cast<size_t>(rows) * row_bytes);
      TRY(source_->read_rows(row, rows, block));
      for (int64_t i = 0; i < rows; ++i) {
        convert_floats(block.data() + static_cast<size_t>(i) * row_bytes, source_->dtype(), columns,
                       reinterpret_cast<std::byte*>(weights.data()), DType::F32);
        TRY(use(weights));
      }
    }
    return {};
  }

  WeightRef source_;
  Format format_;
  std::string tensor_;
  int64_t rows_per_table_;
  std::shared_ptr<ErrorMeter> error_ = std::make_shared<ErrorMeter>();

  mutable std::mutex mutex_;
  mutable std::vector<std::vector<float>> tables_;  // empty: not made yet
};

}  // namespace

QuantizedWeight palettize(WeightRef source, const Format& format, std::string_view tensor) {
  const auto palettizer =
      std::make_shared<const Palettizer>(std::move(source), format, std::string(tensor));
  return {made_weight(palettizer->codes_type(), palettizer, &Palettizer::read_codes, "indices"),
          nullptr, palettizer->error(),
          made_weight(palettizer->table_type(), palettizer, &Palettizer::read_tables, "tables")};
}

}  // namespace diptych::quant
