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

// What some rows of a weight have in the columns that were asked for. (A thread keeps one, so that
// nothing is allocated again and again.)
class ReadColumns {
 public:
  struct alignas(64) Factors {
    float of[kTogether];
  };

  // Forgets all, for other rows or another weight.
  void begin(int64_t columns) {
    const auto count = static_cast<size_t>(columns);
    if (all_.size() < count) {
      all_.resize(count);
      read_for_.resize(count, 0);
    }
    if (++now_ == 0) {
      std::fill(read_for_.begin(), read_for_.end(), 0);
      now_ = 1;
    }
  }

  // Reads a column by read(factors) when it is asked for first.
  template <class Read>
  const float* factors(int32_t column, const Read& read) {
    const auto i = static_cast<size_t>(column);
    if (read_for_[i] != now_) {
      read_for_[i] = now_;
      read(all_[i].of);
    }
    return all_[i].of;
  }

  // For the numbers of the rows of x that have outliers.
  std::vector<int64_t>& rows_of_x() { return rows_; }

 private:
  std::vector<int64_t> rows_;
  std::vector<Factors> all_;
  std::vector<uint32_t> read_for_;
  uint32_t now_ = 0;
};

inline ReadColumns& read_columns() {
  thread_local ReadColumns columns;
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

// y[0 … count) += the outliers' values times what the weight has in their columns, one after
// another.
HWY_INLINE void add_products(const Outliers& outliers, const float* const* factors, int64_t count,
                             float* y) {
  if (count < kTogether) {
    for (int64_t i = 0; i < count; ++i) {
      for (int k = 0; k < outliers.count; ++k) {
        const float product = factors[k][i] * outliers.values[k];
        y[i] += product;
      }
    }
    return;
  }
  const F d;
  for (int64_t i = 0; i < kTogether; i += static_cast<int64_t>(hn::Lanes(d))) {
    Floats sum = hn::LoadU(d, y + i);
    for (int k = 0; k < outliers.count; ++k) {
      const Floats value = hn::Set(d, outliers.values[k]);
      sum = hn::Add(sum, hn::Mul(hn::Load(d, factors[k] + i), value));
    }
    hn::StoreU(sum, d, y + i);
  }
}

template <class Columns>
void add_of_one(const Columns& weight, const Outliers& outliers, int64_t first, int64_t last,
                float* y) {
  alignas(64) float read[kMostOutliers][kTogether];
  const float* factors[kMostOutliers];
  for (int k = 0; k < kMostOutliers; ++k) factors[k] = read[k];
  for (int64_t row = first; row < last; row += kTogether) {
    const int64_t count = std::min(kTogether, last - row);
    for (int k = 0; k < outliers.count; ++k) {
      weight.read(outliers.columns[k], row, count, read[k]);
    }
    add_products(outliers, factors, count, y + row);
  }
}

// A column is read once for all rows of x that have an outlier there.
template <class Columns>
void add_of_many(const Columns& weight, int64_t columns, const Outliers* outliers, int64_t m_rows,
                 int64_t first, int64_t last, float* y, int64_t y_stride) {
  ReadColumns& read = read_columns();
  std::vector<int64_t>& rows = read.rows_of_x();
  rows.clear();
  for (int64_t m = 0; m < m_rows; ++m) {
    if (outliers[m].count > 0) rows.push_back(m);
  }
  if (rows.empty()) return;
  for (int64_t row = first; row < last; row += kTogether) {
    const int64_t count = std::min(kTogether, last - row);
    read.begin(columns);
    for (const int64_t m : rows) {
      const float* factors[kMostOutliers];
      for (int k = 0; k < outliers[m].count; ++k) {
        const int32_t column = outliers[m].columns[k];
        factors[k] =
            read.factors(column, [&](float* out) { weight.read(column, row, count, out); });
      }
      add_products(outliers[m], factors, count, y + m * y_stride + row);
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
