#include "tensor/finite_cast.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "tensor/stored_blocks.h"

namespace diptych {

namespace {

// The bits of the lowest magnitude of `from` that has no finite value in `to`: infinity, or what is
// rounded to it. From there on, magnitudes rise with their bits, and NaNs come last. 0 for types
// whose bits are not looked at.
constexpr uint32_t first_misfit(DType from, DType to) {
  const bool narrow = to == DType::F16;
  if (from == DType::F16) return 0x7C00;
  if (from == DType::BF16) return narrow ? 0x4780 : 0x7F80;         // 65536
  if (from == DType::F32) return narrow ? 0x477FF000 : 0x7F800000;  // 65520
  return 0;
}

// Whether the magnitudes of all elements, of 16 or 32 bits, are below `limit`. Eight bytes at a
// time, for nothing else is as cheap beside hashing and conversion: what is added to a magnitude
// carries into the sign from the limit on.
bool all_below(Bytes bytes, int width, uint32_t limit) {
  const auto each = [width](uint64_t bits) {
    return width == 16 ? bits * 0x0001000100010001 : bits * 0x0000000100000001;
  };
  const uint64_t sign = uint64_t{1} << (width - 1);
  const uint64_t signs = each(sign), magnitudes = each(sign - 1), added = each(sign - limit);
  constexpr size_t kWords = 4;
  uint64_t found[kWords] = {};
  size_t at = 0;
  for (; at + sizeof(found) <= bytes.size(); at += sizeof(found)) {
    for (size_t i = 0; i < kWords; ++i) {
      found[i] |= (load<uint64_t>(bytes.data() + at + i * 8) & magnitudes) + added;
    }
  }
  uint64_t any = found[0] | found[1] | found[2] | found[3];
  for (; at < bytes.size(); at += 8) {
    std::byte rest[8] = {};  // zeros in place of what is beyond the end
    std::memcpy(rest, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    any |= (load<uint64_t>(rest) & magnitudes) + added;
  }
  return (any & signs) == 0;
}

bool all_fit(Bytes bytes, DType from, DType to) {
  return all_below(bytes, bit_width(from), first_misfit(from, to));
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
    return all_fit(out, dtype(), dtype()) ? Status() : describe();
  }
  // A tensor is looked at and then hashed, so that of a file in the page cache it is read once.
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    TRY(check());
    return identify_as(*cast_, hasher, cache);
  }

 private:
  // Calls body(first, count) for all rows in blocks of about a megabyte until one fails.
  template <class Body>
  Status for_blocks(Body body) const {
    const auto block = static_cast<int64_t>(
        std::max<uint64_t>(1, (1 << 20) / std::max<uint64_t>(1, source_->row_bytes())));
    for (int64_t first = 0; first < rows(); first += block) {
      TRY(body(first, std::min(block, rows() - first)));
    }
    return {};
  }

  // Reads all of the source; fails as reading the cast would.
  Status check() const {
    const bool as_stored = first_misfit(source_->dtype(), dtype()) != 0;
    const Weight& read = as_stored ? *source_ : *cast_;
    std::vector<std::byte> buffer;
    return for_blocks([&](int64_t first, int64_t count) -> Status {
      buffer.resize(static_cast<uint64_t>(count) * read.row_bytes());
      TRY(read.read_rows(first, count, buffer));
      return all_fit(buffer, read.dtype(), dtype()) ? Status() : describe();
    });
  }

  // The error, from all of the source.
  Status describe() const {
    uint64_t nans = 0, infinite = 0, beyond = 0;
    float largest = 0;
    TRY(for_blocks([&](int64_t first, int64_t count) -> Status {
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
      return {};
    }));
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
