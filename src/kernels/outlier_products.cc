// What outliers add to results. (outliers.cc finds them.)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/outlier_products.cc"
#include <hwy/foreach_target.h>  // compiles this file once for each instruction set
#include <hwy/highway.h>

#include "kernels/outliers.h"
// After the two above, which it relies on.
#include "tensor/halves-inl.h"

#ifndef DIPTYCH_OUTLIER_PRODUCTS_ONCE
#define DIPTYCH_OUTLIER_PRODUCTS_ONCE

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace diptych::kernels {

inline constexpr int64_t kTogether = 16;  // rows of the weight

// A weight's column in kTogether rows, as it is stored: raw bits, brought together from rows that
// lie apart. Rows that the weight lacks are zeros.
struct StoredColumn {
  alignas(64) uint8_t codes[kTogether] = {};
  alignas(64) std::byte scales[4 * kTogether] = {}, offsets[4 * kTogether] = {};
};

template <class Number>
void gather(const std::byte* from, int64_t stride, int64_t count, void* to) {
  auto* out = static_cast<std::byte*>(to);
  const auto copy = [&](int64_t i) {
    std::memcpy(out + i * static_cast<int64_t>(sizeof(Number)), from + i * stride, sizeof(Number));
  };
  if (count == kTogether && stride == sizeof(Number)) {
    std::memcpy(to, from, kTogether * sizeof(Number));
  } else if (count == kTogether) {
    for (int64_t i = 0; i < kTogether; ++i) copy(i);
  } else {
    for (int64_t i = 0; i < count; ++i) copy(i);
  }
}

inline void gather_numbers(DType dtype, const std::byte* from, int64_t stride, int64_t count,
                           std::byte* to) {
  if (dtype == DType::F32) return gather<float>(from, stride, count, to);
  gather<uint16_t>(from, stride, count, to);
}

// The columns in which some row of x has an outlier, each once. (A thread keeps one, so that
// nothing is allocated again and again.)
class OutlierColumns {
 public:
  struct alignas(64) Factors {
    float of[kTogether];
  };

  void find(const Outliers* rows, int64_t m_rows, int64_t columns) {
    words_.assign(static_cast<size_t>(columns / 64 + 1), 0);
    before_.resize(words_.size());
    all_.clear();
    numbers_.clear();
    for_outliers(rows, m_rows,
                 [&](size_t column) { words_[column / 64] |= uint64_t{1} << column % 64; });
    for (size_t i = 0; i < words_.size(); ++i) {
      before_[i] = static_cast<int32_t>(all_.size());
      for (uint64_t left = words_[i]; left != 0; left &= left - 1) {
        all_.push_back(static_cast<int32_t>(64 * i) + std::countr_zero(left));
      }
    }
    for_outliers(rows, m_rows, [&](size_t column) {
      const uint64_t below = (uint64_t{1} << column % 64) - 1;
      numbers_.push_back(before_[column / 64] + std::popcount(words_[column / 64] & below));
    });
    factors.resize(all_.size());
  }

  const std::vector<int32_t>& all() const { return all_; }
  // Of each outlier's column, row by row.
  const std::vector<int32_t>& numbers() const { return numbers_; }
  // For each column.
  std::vector<Factors> factors;

 private:
  template <class Visit>
  static void for_outliers(const Outliers* rows, int64_t m_rows, const Visit& visit) {
    for (int64_t m = 0; m < m_rows; ++m) {
      for (int k = 0; k < rows[m].count; ++k) visit(static_cast<size_t>(rows[m].columns[k]));
    }
  }

  std::vector<uint64_t> words_;
  std::vector<int32_t> before_, all_, numbers_;
};

inline OutlierColumns& outlier_columns() {
  thread_local OutlierColumns columns;
  return columns;
}

}  // namespace diptych::kernels
#endif  // DIPTYCH_OUTLIER_PRODUCTS_ONCE

HWY_BEFORE_NAMESPACE();
namespace diptych::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using diptych::HWY_NAMESPACE::widen_halves;

using F = hn::CappedTag<float, kTogether>;
using I32 = hn::RebindToSigned<F>;
using I8 = hn::Rebind<int8_t, F>;
using U16 = hn::Rebind<uint16_t, F>;
using Floats = hn::Vec<F>;

HWY_INLINE Floats numbers(DType dtype, const std::byte* from, int64_t i) {
  if (dtype == DType::F32) return hn::LoadU(F(), reinterpret_cast<const float*>(from) + i);
  return widen_halves(F(), hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(from) + i));
}

// Rows of a weight, and what `count` of them from `row` on have in a column, to out[kTogether].
class IntegerColumns {
 public:
  explicit IntegerColumns(const LinearWeight& weight)
      : weight_(weight),
        pairs_(weight.dtype == DType::Int4),
        row_bytes_(row_bytes(weight)),
        number_bytes_(scale_width(weight)),
        row_numbers_(weight.columns / weight.block) {}

  HWY_INLINE void read(int32_t column, int64_t row, int64_t count, float* out) const {
    StoredColumn stored;
    gather<uint8_t>(weight_.data + row * row_bytes_ + (pairs_ ? column / 2 : column), row_bytes_,
                    count, stored.codes);
    const int64_t at = (row * row_numbers_ + column / weight_.block) * number_bytes_;
    const int64_t stride = row_numbers_ * number_bytes_;
    gather_numbers(weight_.scale_dtype, weight_.scales + at, stride, count, stored.scales);
    if (weight_.offsets != nullptr) {
      gather_numbers(weight_.scale_dtype, weight_.offsets + at, stride, count, stored.offsets);
    }
    const F d;
    const I32 di;
    for (int64_t i = 0; i < kTogether; i += static_cast<int64_t>(hn::Lanes(d))) {
      auto codes =
          hn::PromoteTo(di, hn::LoadU(I8(), reinterpret_cast<const int8_t*>(stored.codes) + i));
      if (pairs_) {
        // To the top, and back with its sign.
        codes = column % 2 == 0 ? hn::ShiftLeft<28>(codes)
                                : hn::ShiftLeft<24>(hn::And(codes, hn::Set(di, 0xF0)));
        codes = hn::ShiftRight<28>(codes);
      }
      Floats value = hn::ConvertTo(d, codes);
      if (weight_.offsets != nullptr) {
        value = hn::Sub(value, numbers(weight_.scale_dtype, stored.offsets, i));
      }
      value = hn::Mul(value, numbers(weight_.scale_dtype, stored.scales, i));
      hn::Store(value, d, out + i);
    }
  }

 private:
  const LinearWeight& weight_;
  bool pairs_;
  int64_t row_bytes_, number_bytes_, row_numbers_;
};

class PaletteColumns {
 public:
  explicit PaletteColumns(const PaletteWeight& weight)
      : weight_(weight), row_bytes_(row_bytes(weight)) {}

  HWY_INLINE void read(int32_t column, int64_t row, int64_t count, float* out) const {
    const int64_t bit = int64_t{column} * weight_.bits;
    const auto mask = (1U << weight_.bits) - 1;
    std::fill_n(out, kTogether, 0.0f);
    for (int64_t i = 0; i < count; ++i) {
      const std::byte* const from = weight_.data + (row + i) * row_bytes_ + bit / 8;
      auto bits = static_cast<unsigned>(*from);
      // An index that ends in the next byte, which then is the row's.
      if (bit % 8 + weight_.bits > 8) bits |= static_cast<unsigned>(from[1]) << 8;
      const unsigned index = bits >> (bit % 8) & mask;
      out[i] = static_cast<float>(codes_of(weight_, row + i)[index]) * weight_.scales[row + i];
    }
  }

 private:
  const PaletteWeight& weight_;
  int64_t row_bytes_;
};

// y[0 … count) += factors * value.
HWY_INLINE void add_products(const float* factors, float value, int64_t count, float* y) {
  const F d;
  if (count < kTogether) {
    for (int64_t i = 0; i < count; ++i) {
      const float product = factors[i] * value;
      y[i] += product;
    }
    return;
  }
  for (int64_t i = 0; i < kTogether; i += static_cast<int64_t>(hn::Lanes(d))) {
    const Floats product = hn::Mul(hn::Load(d, factors + i), hn::Set(d, value));
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), product), d, y + i);
  }
}

template <class Columns>
void add_of_one(const Columns& weight, const Outliers& outliers, int64_t first, int64_t last,
                float* y) {
  alignas(64) float factors[kTogether];
  for (int64_t row = first; row < last; row += kTogether) {
    const int64_t count = std::min(kTogether, last - row);
    for (int k = 0; k < outliers.count; ++k) {
      weight.read(outliers.columns[k], row, count, factors);
      add_products(factors, outliers.values[k], count, y + row);
    }
  }
}

// A column is read once for all rows of x that have an outlier there.
template <class Columns>
void add_of_many(const Columns& weight, int64_t columns, const Outliers* outliers, int64_t m_rows,
                 int64_t first, int64_t last, float* y, int64_t y_stride) {
  if (std::all_of(outliers, outliers + m_rows, [](const auto& row) { return row.count == 0; })) {
    return;
  }
  OutlierColumns& found = outlier_columns();
  found.find(outliers, m_rows, columns);
  for (int64_t row = first; row < last; row += kTogether) {
    const int64_t count = std::min(kTogether, last - row);
    for (size_t i = 0; i < found.all().size(); ++i) {
      weight.read(found.all()[i], row, count, found.factors[i].of);
    }
    const int32_t* number = found.numbers().data();
    for (int64_t m = 0; m < m_rows; ++m) {
      for (int k = 0; k < outliers[m].count; ++k, ++number) {
        add_products(found.factors[static_cast<size_t>(*number)].of, outliers[m].values[k], count,
                     y + m * y_stride + row);
      }
    }
  }
}

template <class Columns, class Weight>
void add_to(const Weight& weight, const Outliers* outliers, int64_t m_rows, int64_t first,
            int64_t last, float* y, int64_t y_stride) {
  const Columns columns(weight);
  if (m_rows == 1) return add_of_one(columns, *outliers, first, last, y);
  add_of_many(columns, weight.columns, outliers, m_rows, first, last, y, y_stride);
}

void add_to_integers(const LinearWeight& weight, const Outliers* outliers, int64_t m_rows,
                     int64_t first, int64_t last, float* y, int64_t y_stride) {
  add_to<IntegerColumns>(weight, outliers, m_rows, first, last, y, y_stride);
}

void add_to_palette(const PaletteWeight& weight, const Outliers* outliers, int64_t m_rows,
                    int64_t first, int64_t last, float* y, int64_t y_stride) {
  add_to<PaletteColumns>(weight, outliers, m_rows, first, last, y, y_stride);
}

}  // namespace diptych::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::kernels {

HWY_EXPORT(add_to_integers);
HWY_EXPORT(add_to_palette);

void add_outliers(const LinearWeight& weight, const Outliers* outliers, int64_t m_rows,
                  int64_t first, int64_t last, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(add_to_integers)(weight, outliers, m_rows, first, last, y, y_stride);
}

void add_outliers(const PaletteWeight& weight, const Outliers* outliers, int64_t m_rows,
                  int64_t first, int64_t last, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(add_to_palette)(weight, outliers, m_rows, first, last, y, y_stride);
}

}  // namespace diptych::kernels
#endif  // HWY_ONCE
