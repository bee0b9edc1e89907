#include "quant/quantize.h"

#include <algorithm>
#include <string>
#include <vector>

#include "quant/group_size.h"
#include "quant/keep.h"
#include "quant/made_weight.h"
#include "quant/palette_weight.h"
#include "tensor/convert.h"

namespace diptych::quant {

namespace {

// The source is read in blocks of about this size, which stay in a core's cache.
constexpr uint64_t kBlockBytes = 128 << 10;

// What the codes and the scales of one weight have in common. Scales found while codes are read
// are kept until they are read in turn: they cost little memory, and the source need not be read
// (and converted from another type) once more. Rows are computed by several threads, in any order.
class Quantizer {
 public:
  Quantizer(WeightRef source, const Quantization& how, std::string tensor)
      : source_(std::move(source)),
        how_(how),
        tensor_(std::move(tensor)),
        groups_(source_->shape()[1] / group_size(how.format, source_->shape())) {}

  const Weight& source() const { return *source_; }
  TensorType codes_type() const { return {code_type(how_.format.bits), source_->shape()}; }
  TensorType scales_type() const { return {source_->dtype(), {source_->shape()[0], groups_}}; }

  std::shared_ptr<const ErrorMeter> error() const { return error_; }

  Status read_codes(int64_t first, int64_t count, MutableBytes codes) const {
    std::vector<std::byte> scales(scale_bytes(count));
    TRY(compute(first, count, reinterpret_cast<int8_t*>(codes.data()), scales.data()));
    const std::lock_guard lock(mutex_);
    const auto rows = static_cast<size_t>(source_->rows());
    scales_.resize(scale_bytes(source_->rows()));
    known_.resize(rows, false);
    std::copy(scales.begin(), scales.end(), scales_.data() + scale_bytes(first));
    std::fill_n(known_.begin() + first, count, true);
    return {};
  }

  Status read_scales(int64_t first, int64_t count, MutableBytes scales) const {
    {
      const std::lock_guard lock(mutex_);
      const auto begin = known_.begin() + (known_.empty() ? 0 : first);
      if (!known_.empty() && std::find(begin, begin + count, false) == begin + count) {
        std::copy_n(scales_.data() + scale_bytes(first), scales.size(), scales.data());
        std::fill_n(begin, count, false);
        // The last to be read take the memory along.
        if (std::find(known_.begin(), known_.end(), true) == known_.end()) {
          std::vector<std::byte>().swap(scales_);
          std::vector<bool>().swap(known_);
        }
        return {};
      }
    }
    return compute(first, count, nullptr, scales.data());
  }

  void identify(Hasher& hasher, DigestCache& cache) const {
    hasher.add(static_cast<uint64_t>(how_.format.bits));
    hasher.add(static_cast<uint64_t>(how_.format.group));
    if (how_.algorithm != Algorithm::Rtn) hasher.add(name(how_.algorithm));
    hasher.add(source_->digest(cache));
  }

 private:
  uint64_t scale_bytes(int64_t rows) const {
    const uint64_t width = source_->dtype() == DType::F16 ? 2 : 4;
    return static_cast<uint64_t>(rows * groups_) * width;
  }

  // Codes and scales of rows [first, first+count); `codes` may be null.
  Status compute(int64_t first, int64_t count, int8_t* codes, std::byte* scales) const {
    const DType dtype = source_->dtype();
    const auto columns = static_cast<size_t>(source_->shape()[1]);
    const auto groups = static_cast<size_t>(groups_);
    const uint64_t row_bytes = source_->row_bytes();
    const auto rows_per_block =
        static_cast<int64_t>(std::max<uint64_t>(1, kBlockBytes / std::max<uint64_t>(1, row_bytes)));
    const QuantizeRow quantize_row = info(how_.algorithm).quantize_row;
    std::vector<uint16_t> block;  // rows of the source; an fp32 takes two
    std::vector<float> weights(columns), row_scales(groups);
    QuantizationError error;
    for (int64_t done = 0; done < count;) {
      const int64_t rows = std::min(rows_per_block, count - done);
      block.resize(static_cast<size_t>(rows) * row_bytes / sizeof(uint16_t));
      TRY(source_->read_rows(first + done, rows, std::as_writable_bytes(std::span(block))));
      for (int64_t row = 0; row < rows; ++row, ++done) {
        const auto at = static_cast<size_t>(done);
        const uint16_t* stored =
            block.data() + static_cast<size_t>(row) * row_bytes / sizeof(uint16_t);
        convert_floats(reinterpret_cast<const std::byte*>(stored), dtype, columns,
                       reinterpret_cast<std::byte*>(weights.data()), DType::F32);
        int8_t* row_codes = codes ? codes + at * columns : nullptr;
        if (!quantize_row({weights, dtype, dtype == DType::F16 ? stored : nullptr},
                          how_.format.bits, row_scales, row_codes)) {
          return invalid_data(
              "{} {}: row {} holds an infinite or NaN value, which cannot be quantised; correct "
              "the checkpoint{}",
              tensor_, diptych::to_string(source_->type()), first + done,
              dtype == DType::F16 ? " or export in fp32 if the value exceeds fp16" : "");
        }
        convert_floats(reinterpret_cast<const std::byte*>(row_scales.data()), DType::F32, groups,
                       scales + scale_bytes(done), dtype);
        if (codes) add_error(weights, row_codes, row_scales, error);
      }
    }
    if (codes) error_->add(error);
    return {};
  }

  static void add_error(std::span<const float> weights, const int8_t* codes,
                        std::span<const float> scales, QuantizationError& error) {
    const size_t size = weights.size() / scales.size();
    for (size_t g = 0; g < scales.size(); ++g) {
      error += deviation(weights.subspan(g * size, size), codes + g * size, scales[g]);
    }
  }

  WeightRef source_;
  Quantization how_;
  std::string tensor_;
  int64_t groups_;
  std::shared_ptr<ErrorMeter> error_ = std::make_shared<ErrorMeter>();

  mutable std::mutex mutex_;
  mutable std::vector<std::byte> scales_;  // of all rows once one is known
  mutable std::vector<bool> known_;        // by row: computed and not yet read
};

}  // namespace

std::string_view method(const Quantization& how) {
  if (how.format.kind == Kind::Kept) return "keep";
  const bool fitted = how.format.kind == Kind::Palette && !needs_inputs(how.algorithm);
  return fitted ? "k-means" : name(how.algorithm);
}

void ErrorMeter::add(const QuantizationError& part) {
  const std::lock_guard lock(mutex_);
  total_ += part;
}

QuantizationError ErrorMeter::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

Result<QuantizedWeight> quantize(WeightRef source, const Quantization& how,
                                 std::string_view tensor) {
  if (how.format.kind == Kind::Kept) return keep(source, tensor);
  TRY(check(how.format));
  if (needs_inputs(how.algorithm)) {
    return invalid_argument("{}: {} needs a calibration, none was made for this weight", tensor,
                            name(how.algorithm));
  }
  const TensorType& type = source->type();
  if (type.rank() != 2 || (type.dtype != DType::F16 && type.dtype != DType::F32)) {
    return invalid_argument("{}: expected an fp16 or fp32 matrix to quantise, found {}", tensor,
                            diptych::to_string(type));
  }
  const Grouped of = grouped(how.format);
  if (how.format.group != 0 && type.shape[of.axis] % how.format.group != 0) {
    const int64_t nearest = nearest_group(how.format, type.shape[of.axis]);
    return invalid_argument(
        "{} {}: groups of {} do not divide the {} {}; the nearest valid group is {}", tensor,
        diptych::to_string(type), how.format.group, of.name, type.shape[of.axis],
        nearest == 0 ? fmt::format("0 ({})", of.all) : std::to_string(nearest));
  }
  if (how.format.kind == Kind::Palette) {
    const int64_t rows = group_size(how.format, type.shape);
    const int64_t entries = int64_t{1} << how.format.bits;
    if (rows * type.shape[1] < entries) {
      return invalid_argument(
          "{} {}: a table of {} entries is larger than the {} weights that share it; the nearest "
          "valid choice is {}",
          tensor, diptych::to_string(type), entries, rows * type.shape[1],
          how.format.group == 0 ? "fewer bits" : "one table for all rows, or fewer bits");
    }
    return palettize(std::move(source), how.format, tensor);
  }
  const auto quantizer =
      std::make_shared<const Quantizer>(std::move(source), how, std::string(tensor));
  return QuantizedWeight{
      made_weight(quantizer->codes_type(), quantizer, &Quantizer::read_codes, "codes"),
      made_weight(quantizer->scales_type(), quantizer, &Quantizer::read_scales, "scales"),
      quantizer->error()};
}

}  // namespace diptych::quant
