#include "passes/quantize.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "passes/quantize_hqq.h"
#include "passes/quantize_kernel.h"
#include "passes/quantize_mse.h"
#include "tensor/convert.h"
#include "tensor/slice_origin.h"

namespace diptych::passes {

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
        groups_(how.group == 0 ? 1 : source_->shape()[1] / how.group) {}

  const Weight& source() const { return *source_; }
  TensorType codes_type() const {
    return {how_.bits == 4 ? DType::Int4 : DType::Int8, source_->shape()};
  }
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
    hasher.add(static_cast<uint64_t>(how_.bits));
    hasher.add(static_cast<uint64_t>(how_.group));
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
    return source_->dtype() == DType::F16 ? compute_as<uint16_t>(first, count, codes, scales)
                                          : compute_as<float>(first, count, codes, scales);
  }

  template <class T>
  Status compute_as(int64_t first, int64_t count, int8_t* codes, std::byte* scales) const {
    const auto columns = static_cast<size_t>(source_->shape()[1]);
    const auto groups = static_cast<size_t>(groups_);
    const auto rows_per_block = static_cast<int64_t>(
        std::max<uint64_t>(1, kBlockBytes / std::max<uint64_t>(1, source_->row_bytes())));
    std::vector<T> block, row_scales(groups);
    Floats floats{std::vector<float>(columns), std::vector<float>(groups)};
    QuantizationError error;
    for (int64_t done = 0; done < count;) {
      const int64_t rows = std::min(rows_per_block, count - done);
      block.resize(static_cast<size_t>(rows) * columns);
      TRY(source_->read_rows(first + done, rows, std::as_writable_bytes(std::span(block))));
      for (int64_t row = 0; row < rows; ++row, ++done) {
        const auto at = static_cast<size_t>(done);
        const T* weights = block.data() + static_cast<size_t>(row) * columns;
        int8_t* row_codes = codes ? codes + at * columns : nullptr;
        if (!quantize_row(weights, row_codes, row_scales, floats)) {
          return invalid_data(
              "{} {}: row {} holds an infinite or NaN value, which cannot be quantised; correct "
              "the checkpoint{}",
              tensor_, diptych::to_string(source_->type()), first + done,
              source_->dtype() == DType::F16 ? " or export in fp32 if the value exceeds fp16" : "");
        }
        std::memcpy(scales + at * groups * sizeof(T), row_scales.data(), groups * sizeof(T));
        if (codes) add_error(row_codes, floats, error);
      }
    }
    if (codes) error_->add(error);
    return {};
  }

  // A row and its scales in fp32.
  struct Floats {
    std::vector<float> weights, scales;

    std::span<const float> group(size_t index) const {
      const size_t size = weights.size() / scales.size();
      return std::span(weights).subspan(index * size, size);
    }
  };

  // False for a row that is not finite. `codes` may be null; with codes, `floats` is filled too.
  template <class T>
  bool quantize_row(const T* weights, int8_t* codes, std::vector<T>& scales, Floats& floats) const {
    const DType dtype = source_->dtype();
    const size_t columns = floats.weights.size(), groups = scales.size();
    const bool rounds = how_.algorithm == Algorithm::Rtn;
    if (codes || !rounds) {
      convert_floats(reinterpret_cast<const std::byte*>(weights), dtype, columns,
                     reinterpret_cast<std::byte*>(floats.weights.data()), DType::F32);
    }
    if (rounds) {
      if (!quantize_groups(weights, groups, columns / groups, how_.bits, codes, scales.data())) {
        return false;
      }
      convert_floats(reinterpret_cast<const std::byte*>(scales.data()), dtype, groups,
                     reinterpret_cast<std::byte*>(floats.scales.data()), DType::F32);
      return true;
    }
    if (!all_finite(floats.weights)) return false;
    for (size_t g = 0; g < groups; ++g) {
      const std::span<const float> group = floats.group(g);
      const float scale = how_.algorithm == Algorithm::Mse ? mse_scale(group, {}, how_.bits, dtype)
                                                           : hqq_scale(group, how_.bits, dtype);
      if (codes) nearest_codes(group, scale, how_.bits, codes + g * group.size());
      floats.scales[g] = scale;
    }
    convert_floats(reinterpret_cast<const std::byte*>(floats.scales.data()), DType::F32, groups,
                   reinterpret_cast<std::byte*>(scales.data()), dtype);
    return true;
  }

  static void add_error(const int8_t* codes, const Floats& floats, QuantizationError& error) {
    for (size_t g = 0; g < floats.scales.size(); ++g) {
      const std::span<const float> group = floats.group(g);
      error += deviation(group, codes + g * group.size(), floats.scales[g]);
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

class CodesWeight : public Weight {
 public:
  explicit CodesWeight(std::shared_ptr<const Quantizer> quantizer)
      : Weight(quantizer->codes_type()), quantizer_(std::move(quantizer)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    return quantizer_->read_codes(first, count, out);
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    hasher.add(std::string_view("codes"));
    quantizer_->identify(hasher, cache);
    return {};
  }

 private:
  std::shared_ptr<const Quantizer> quantizer_;
};

class ScalesWeight : public Weight {
 public:
  explicit ScalesWeight(std::shared_ptr<const Quantizer> quantizer)
      : Weight(quantizer->scales_type()), quantizer_(std::move(quantizer)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    return quantizer_->read_scales(first, count, out);
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    hasher.add(std::string_view("scales"));
    quantizer_->identify(hasher, cache);
    return {};
  }

 private:
  std::shared_ptr<const Quantizer> quantizer_;
};

constexpr int64_t kGroups[] = {32, 64, 128};

constexpr std::array<std::pair<std::string_view, Algorithm>, 4> kAlgorithms = {
    {{"rtn", Algorithm::Rtn},
     {"mse", Algorithm::Mse},
     {"hqq", Algorithm::Hqq},
     {"gptq", Algorithm::Gptq}}};

}  // namespace

std::string_view name(Algorithm algorithm) {
  return kAlgorithms.at(static_cast<size_t>(algorithm)).first;
}

Result<Algorithm> algorithm_from_name(std::string_view name) {
  std::string known;
  for (const auto& [text, algorithm] : kAlgorithms) {
    if (text == name) return algorithm;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", text);
  }
  return invalid_argument("no quantisation algorithm is named \"{}\"; there are {}", name, known);
}

void ErrorMeter::add(const QuantizationError& part) {
  const std::lock_guard lock(mutex_);
  total_ += part;
}

QuantizationError ErrorMeter::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

std::string to_string(const Quantization& how) {
  return how.group == 0 ? fmt::format("{}-bit per row", how.bits)
                        : fmt::format("{}-bit in groups of {}", how.bits, how.group);
}

Status check(const Quantization& how) {
  if (how.bits != 4 && how.bits != 8) {
    return invalid_argument("quantisation to {} bits: expected 4 or 8", how.bits);
  }
  const bool known =
      std::find(std::begin(kGroups), std::end(kGroups), how.group) != std::end(kGroups);
  if (how.group != 0 && !known) {
    return invalid_argument("quantisation in groups of {}: expected 32, 64, 128 or 0 (a whole row)",
                            how.group);
  }
  return {};
}

int64_t nearest_group(int64_t group, int64_t width) {
  int64_t nearest = 0;
  for (const int64_t candidate : kGroups) {
    if (width % candidate != 0) continue;
    if (nearest == 0 || std::abs(candidate - group) < std::abs(nearest - group)) {
      nearest = candidate;
    }
  }
  return nearest;
}

Result<QuantizedWeight> quantize(WeightRef source, const Quantization& how,
                                 std::string_view tensor) {
  TRY(check(how));
  if (how.algorithm == Algorithm::Gptq) {
    return invalid_argument("{}: gptq needs a calibration, none was made for this weight", tensor);
  }
  const TensorType& type = source->type();
  if (type.rank() != 2 || (type.dtype != DType::F16 && type.dtype != DType::F32)) {
    return invalid_argument("{}: expected an fp16 or fp32 matrix to quantise, found {}", tensor,
                            diptych::to_string(type));
  }
  if (how.group != 0 && type.shape[1] % how.group != 0) {
    const int64_t nearest = nearest_group(how.group, type.shape[1]);
    return invalid_argument(
        "{} {}: groups of {} do not divide the width {}; the nearest valid group is {}", tensor,
        diptych::to_string(type), how.group, type.shape[1],
        nearest == 0 ? "0 (a whole row)" : std::to_string(nearest));
  }
  const auto quantizer =
      std::make_shared<const Quantizer>(std::move(source), how, std::string(tensor));
  return QuantizedWeight{std::make_shared<CodesWeight>(quantizer),
                         std::make_shared<ScalesWeight>(quantizer), quantizer->error()};
}

namespace {
auto key_of(const Weight* source, const Quantization& how) {
  return std::make_tuple(source, how.bits, how.group, how.algorithm);
}
}  // namespace

Result<QuantizedWeight> QuantizeCache::quantize(const WeightRef& source, const Quantization& how,
                                                std::string_view tensor) {
  const auto found = known_.find(key_of(source.get(), how));
  if (found != known_.end()) return found->second.quantized;
  const SliceOrigin origin = slice_origin(*source);
  const auto whole = known_.find(key_of(origin.source.get(), how));
  if (whole == known_.end()) {
    remember(source, how, TRY(passes::quantize(source, how, tensor)));
  } else {
    const QuantizedWeight& all = whole->second.quantized;
    remember(source, how,
             {row_slice(all.codes, origin.first, source->rows()),
              row_slice(all.scales, origin.first, source->rows()), all.error});
  }
  return known_.at(key_of(source.get(), how)).quantized;
}

void QuantizeCache::remember(WeightRef source, const Quantization& how, QuantizedWeight quantized) {
  const auto key = key_of(source.get(), how);
  known_.insert_or_assign(key, Entry{std::move(source), how, std::move(quantized)});
}

std::vector<QuantizeCache::Entry> QuantizeCache::entries() const {
  std::vector<Entry> entries;
  for (const auto& [key, entry] : known_) entries.push_back(entry);
  return entries;
}

}  // namespace diptych::passes
