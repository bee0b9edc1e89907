#include "quant/keep.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/half.h"
#include "quant/made_weight.h"
#include "tensor/convert.h"
#include "tensor/stored_blocks.h"

namespace diptych::quant {

namespace {

// How a group of the source is said in the program's type: scale * (code - offset).
struct Group {
  float scale, offset;
  // The group is one number, its minimum: all codes become 0.
  bool constant;
};

// The source and how its groups are said.
class Keeper {
 public:
  Keeper(WeightRef source, StoredBlocks blocks, std::string tensor)
      : source_(std::move(source)), blocks_(std::move(blocks)), tensor_(std::move(tensor)) {}

  const StoredBlocks& blocks() const { return blocks_; }
  DType dtype() const { return source_->dtype(); }
  const std::string& tensor() const { return tensor_; }
  std::shared_ptr<const ErrorMeter> error() const { return error_; }

  // The groups of some rows. Errors: those of a scale or an offset that the type cannot hold.
  Result<std::vector<Group>> groups(int64_t first, int64_t count) const {
    return groups_of(TRY(numbers_of(first, count)), first);
  }

  // The scales or the offsets of some rows, in the weight's type.
  template <float Group::*member>
  Status read_numbers(int64_t first, int64_t count, MutableBytes out) const {
    std::vector<float> numbers;
    for (const Group& group : TRY(groups(first, count))) numbers.push_back(group.*member);
    convert_floats(reinterpret_cast<const std::byte*>(numbers.data()), DType::F32, numbers.size(),
                   out.data(), dtype());
    return {};
  }

  // Codes of some rows, and how far what they stand for is from the source.
  Status read_codes(int64_t first, int64_t count, MutableBytes out) const {
    const Numbers numbers = TRY(numbers_of(first, count));
    const auto said = TRY(groups_of(numbers, first));
    const auto& [scales, minima] = numbers;
    TRY(blocks_.codes->read_rows(first, count, out));
    auto* codes = reinterpret_cast<int8_t*>(out.data());
    const size_t size = out.size() / std::max<size_t>(said.size(), 1);
    QuantizationError error;
    float largest = 0;  // of the numbers that the program has
    for (size_t g = 0; g < said.size(); ++g, codes += size) {
      const Group& group = said[g];
      for (size_t i = 0; i < size; ++i) {
        const float w = scales[g] * static_cast<float>(codes[i] - blocks_.zero) + minima[g];
        if (group.constant) codes[i] = 0;
        const float kept = group.scale * (static_cast<float>(codes[i]) - group.offset);
        const double off = static_cast<double>(w) - kept;
        error.squares += off * off;
        error.source_squares += static_cast<double>(w) * w;
        error.largest = std::max(error.largest, std::fabs(off));
        largest = std::max(largest, std::fabs(kept));
      }
    }
    if (dtype() == DType::F16 && std::isinf(round_to_half(largest))) {
      return hinted(
          invalid_data("{} {}: kept as it is quantised, it has numbers beyond fp16, whose "
                       "largest is 65504 (up to {:.4g})",
                       tensor_, diptych::to_string(source_->type()), largest),
          Advice::WiderType);
    }
    error_->add(error);
    return {};
  }

  void identify(Hasher& hasher, DigestCache& cache) const { hasher.add(source_->digest(cache)); }

 private:
  // What the source has for each group.
  struct Numbers {
    std::vector<float> scales, minima;
  };
  Result<Numbers> numbers_of(int64_t first, int64_t count) const {
    Numbers numbers{TRY(read_floats(*blocks_.scales, first, count)), {}};
    numbers.minima.resize(numbers.scales.size());
    if (blocks_.minima) numbers.minima = TRY(read_floats(*blocks_.minima, first, count));
    return numbers;
  }

  Result<std::vector<Group>> groups_of(const Numbers& numbers, int64_t first) const {
    std::vector<Group> groups(numbers.scales.size());
    for (size_t i = 0; i < groups.size(); ++i) {
      groups[i] = said(numbers.scales[i], numbers.minima[i]);
      TRY(check(groups[i], first + static_cast<int64_t>(i / per_row())));
    }
    return groups;
  }

  size_t per_row() const { return static_cast<size_t>(blocks_.scales->shape()[1]); }
  float stored(float value) const { return dtype() == DType::F16 ? round_to_half(value) : value; }

  Group said(float scale, float minimum) const {
    const float rounded = stored(scale);
    if (!blocks_.minima) return {rounded, 0, false};
    // A scale of 0 leaves the minimum, which then is the scale.
    if (rounded == 0) return {stored(minimum), -1, true};
    return {rounded, stored(static_cast<float>(blocks_.zero) - minimum / rounded), false};
  }

  Status check(const Group& group, int64_t row) const {
    const bool finite = std::isfinite(group.scale);
    if (finite && std::isfinite(group.offset)) return {};
    const bool half = dtype() == DType::F16;
    return hinted(
        invalid_data("{} {}: row {} cannot be kept as it is quantised: {} of a block is not a "
                     "number of {}; the nearest valid choice is {}",
                     tensor_, diptych::to_string(source_->type()), row,
                     finite ? "the offset" : "the scale", name(dtype()),
                     blocks_.codes->dtype() == DType::Int4 ? "b4w" : "c8w"),
        half ? Advice::WiderType : Advice::None);
  }

  WeightRef source_;
  StoredBlocks blocks_;
  std::string tensor_;
  std::shared_ptr<ErrorMeter> error_ = std::make_shared<ErrorMeter>();
};
using KeeperRef = std::shared_ptr<const Keeper>;

Result<KeeperRef> keeper_of(const WeightRef& source, std::string_view tensor) {
  const TensorType& type = source->type();
  auto blocks = stored_blocks(*source);
  if (!blocks || type.rank() != 2 || (type.dtype != DType::F16 && type.dtype != DType::F32)) {
    return invalid_argument("{}: expected a matrix that is quantised already, found {}", tensor,
                            diptych::to_string(type));
  }
  return std::make_shared<const Keeper>(source, std::move(*blocks), std::string(tensor));
}

}  // namespace

std::optional<Format> kept_format(const Weight& weight) {
  const auto blocks = stored_blocks(weight);
  if (!blocks) return std::nullopt;
  return Format{bit_width(blocks->codes->dtype()),
                blocks->codes->shape()[1] / blocks->scales->shape()[1], Kind::Kept};
}

Result<QuantizedWeight> keep(const WeightRef& source, std::string_view tensor) {
  const KeeperRef keeper = TRY(keeper_of(source, tensor));
  const TensorType numbers{keeper->dtype(), keeper->blocks().scales->shape()};
  QuantizedWeight kept{
      made_weight(keeper->blocks().codes->type(), keeper, &Keeper::read_codes, "kept codes"),
      made_weight(numbers, keeper, &Keeper::read_numbers<&Group::scale>, "kept scales"),
      keeper->error()};
  if (keeper->blocks().minima) {
    kept.offsets =
        made_weight(numbers, keeper, &Keeper::read_numbers<&Group::offset>, "kept offsets");
  }
  return kept;
}

Status check_kept(const WeightRef& source, std::string_view tensor) {
  constexpr int64_t kRows = 64;  // at once
  const KeeperRef keeper = TRY(keeper_of(source, tensor));
  for (int64_t first = 0; first < source->rows(); first += kRows) {
    TRY(keeper->groups(first, std::min(kRows, source->rows() - first)));
  }
  return {};
}

}  // namespace diptych::quant
