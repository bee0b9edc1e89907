#include "tensor/finite_cast.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "tensor/stored_blocks.h"

namespace diptych {

namespace {

// Whether all elements of a float type are finite: no exponent has all its bits set. Eight bytes at
// a time, for nothing else is as cheap beside the conversion: `exponents` masks the exponents of
// the elements in a word, and adding `lowest`, the lowest bit of each, carries into the sign.
bool all_finite(Bytes bytes, uint64_t exponents, uint64_t lowest, uint64_t signs) {
  constexpr size_t kWords = 4;
  uint64_t found[kWords] = {};
  size_t at = 0;
  for (; at + sizeof(found) <= bytes.size(); at += sizeof(found)) {
    for (size_t i = 0; i < kWords; ++i) {
      found[i] |= (load<uint64_t>(bytes.data() + at + i * 8) & exponents) + lowest;
    }
  }
  uint64_t any = found[0] | found[1] | found[2] | found[3];
  for (; at < bytes.size(); at += 8) {
    std::byte rest[8] = {};  // zeros in place of what is beyond the end
    std::memcpy(rest, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    any |= (load<uint64_t>(rest) & exponents) + lowest;
  }
  return (any & signs) == 0;
}

bool all_finite(Bytes bytes, DType dtype) {
  return dtype == DType::F16
             ? all_finite(bytes, 0x7C007C007C007C00, 0x0400040004000400, 0x8000800080008000)
             : all_finite(bytes, 0x7F8000007F800000, 0x0080000000800000, 0x8000000080000000);
}

class FiniteCast : public Weight, public HasStoredBlocks {
 public:
  FiniteCast(WeightRef source, DType dtype, std::string tensor)
      : Weight({dtype, source->shape()}),
        source_(std::move(source)),
        cast_(cast(source_, dtype)),
        tensor_(std::move(tensor)) {}

  std::optional<StoredBlocks> stored_blocks() const override {
    return diptych::stored_blocks(*source_);
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    TRY(cast_->read_rows(first, count, out));
    return all_finite(out, dtype()) ? Status() : describe();
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    return identify_as(*cast_, hasher, cache);
  }

 private:
  // The error, from all of the source.
  Status describe() const {
    uint64_t nans = 0, infinite = 0, beyond = 0;
    float largest = 0;
    const auto block =
        static_cast<int64_t>(std::max<uint64_t>(1, (1 << 20) / std::max<uint64_t>(1, row_bytes())));
    for (int64_t first = 0; first < rows(); first += block) {
      const int64_t count = std::min(block, rows() - first);
      for (const float value : TRY(read_floats(*source_, first, count))) {
        if (std::isnan(value)) {
          ++nans;
        } else if (std::isinf(value)) {
          ++infinite;
        } else if (dtype() == DType::F16 && std::isinf(round_to_half(value))) {
          ++beyond;
          largest = std::max(largest, std::abs(value));
        }
      }
    }
    std::string text;
    const auto add = [&](uint64_t number, std::string_view what) {
      if (number > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, what);
    };
    add(nans, "NaN");
    add(infinite, "infinite");
    add(beyond, "beyond fp16, whose largest is 65504");
    if (beyond > 0) text += fmt::format(" (up to {:.4g})", largest);
    const bool wider_helps = nans + infinite == 0;
    return hinted(invalid_data("{} {}: {} of {} values cannot be stored in {}: {}{}", tensor_,
                               to_string(source_->type()), nans + infinite + beyond, elements(),
                               name(dtype()), text, wider_helps ? "" : "; correct the checkpoint"),
                  wider_helps ? Advice::WiderType : Advice::None);
  }

  WeightRef source_, cast_;
  std::string tensor_;
};

}  // namespace

WeightRef finite_cast(WeightRef source, DType dtype, std::string tensor) {
  return std::make_shared<FiniteCast>(std::move(source), dtype, std::move(tensor));
}

}  // namespace diptych
