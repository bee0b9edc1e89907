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
#include <span>
#include <vector>

namespace diptych::kernels {

inline constexpr int64_t kTogether = 16;  // rows of the weight

// What kTogether rows of a weight have in a column: raw bits, brought together from rows that lie
// apart, and the floats that they stand for.
struct alignas(64) ReadColumn {
  uint8_t codes[kTogether] = {};
  alignas(64) std::byte scales[4 * kTogether] = {}, offsets[4 * kTogether] = {};
  float factors[kTogether] = {};
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

// The columns of a weight in which rows of x have outliers, each once, and which of them those of a
// row are. (A thread keeps one, so that nothing is allocated again and again.)
class OutlierColumns {
 public:
  struct Row {
    int64_t m;
    int32_t places[kMostOutliers];  // of its outliers in columns()
  };

  void collect(const Outliers* outliers, int64_t m_rows, int64_t columns) {
    place_.resize(std::max(place_.size(), static_cast<size_t>(columns)), kNowhere);
    for (const int32_t column : columns_) place_[static_cast<size_t>(column)] = kNowhere;
    columns_.clear();
    rows_.clear();
    for (int64_t m = 0; m < m_rows; ++m) {
      if (outliers[m].count == 0) continue;
      rows_.push_back({m, {}});
      for (int k = 0; k < outliers[m].count; ++k) {
        int32_t& place = place_[static_cast<size_t>(outliers[m].columns[k])];
        if (place == kNowhere) {
          place = static_cast<int32_t>(columns_.size());
          columns_.push_back(outliers[m].columns[k]);
        }
        rows_.back().places[k] = place;
      }
    }
    read_.resize(std::max(read_.size(), columns_.size()));
  }

  const std::vector<int32_t>& columns() const { return columns_; }
  const std::vector<Row>& rows() const { return rows_; }
  ReadColumn* read() { return read_.data(); }

 private:
  static constexpr int32_t kNowhere = -1;
  std::vector<int32_t> columns_;
  std::vector<int32_t> place_;  // of each column of a weight in columns_
  std::vector<Row> rows_;
  std::vector<ReadColumn> read_;
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

// Weights that are read by columns: read() finds what `count` rows from `row` on have in `columns`.
class IntegerColumns {
 public:
  explicit IntegerColumns(const LinearWeight& weight)
      : weight_(weight),
        pairs_(weight.dtype == DType::Int4),
        row_bytes_(row_bytes(weight)),
        number_bytes_(scale_width(weight)),
        row_numbers_(weight.columns / weight.block) {}

  void read(std::span<const int32_t> columns, int64_t row, int64_t count, ReadColumn* out) const {
    // What is stored in pieces is loaded as a whole only when all columns are.
    for (size_t c = 0; c < columns.size(); ++c) read_column(columns[c], row, count, out[c]);
    for (size_t c = 0; c < columns.size(); ++c) find_factors(columns[c], out[c]);
  }

 private:
  HWY_INLINE void read_column(int32_t column, int64_t row, int64_t count, ReadColumn& to) const {
    gather<uint8_t>(weight_.data + row * row_bytes_ + (pairs_ ? column / 2 : column), row_bytes_,
                    count, to.codes);
    const int64_t at = (row * row_numbers_ + column / weight_.block) * number_bytes_;
    const int64_t stride = row_numbers_ * number_bytes_;
    gather_numbers(weight_.scale_dtype, weight_.scales + at, stride, count, to.scales);
    if (weight_.offsets != nullptr) {
      gather_numbers(weight_.scale_dtype, weight_.offsets + at, stride, count, to.offsets);
    }
  }

  HWY_INLINE void find_factors(int32_t column, ReadColumn& read) const {
    const F d;
    const I32 di;
    for (int64_t i = 0; i < kTogether; i += static_cast<int64_t>(hn::Lanes(d))) {
      auto codes =
          hn::PromoteTo(di, hn::LoadU(I8(), reinterpret_cast<const int8_t*>(read.codes) + i));
      if (pairs_) {
        // To the top, and back with its sign.
        codes = column % 2 == 0 ? hn::ShiftLeft<28>(codes)
                                : hn::ShiftLeft<24>(hn::And(codes, hn::Set(di, 0xF0)));
        codes = hn::ShiftRight<28>(codes);
      }
      Floats value = hn::ConvertTo(d, codes);
      if (weight_.offsets != nullptr) {
        value = hn::Sub(value, numbers(weight_.scale_dtype, read.offsets, i));
      }
      value = hn::Mul(value, numbers(weight_.scale_dtype, read.scales, i));
      hn::Store(value, d, read.factors + i);
    }
  }

  const LinearWeight& weight_;
  bool pairs_;
  int64_t row_bytes_, number_bytes_, row_numbers_;
};

class PaletteColumns {
 public:
  explicit PaletteColumns(const PaletteWeight& weight)
      : weight_(weight), row_bytes_(row_bytes(weight)) {}

  void read(std::span<const int32_t> columns, int64_t row, int64_t count, ReadColumn* out) const {
    const auto mask = (1U << weight_.bits) - 1;
    for (int64_t i = 0; i < count; ++i) {
      const std::byte* const bytes = weight_.data + (row + i) * row_bytes_;
      const int8_t* const codes = codes_of(weight_, row + i);
      for (size_t c = 0; c < columns.size(); ++c) {
        const int64_t bit = int64_t{columns[c]} * weight_.bits;
        auto bits = static_cast<unsigned>(bytes[bit / 8]);
        // An index that ends in the next byte, which then is the row's.
        if (bit % 8 + weight_.bits > 8) bits |= static_cast<unsigned>(bytes[bit / 8 + 1]) << 8;
        const unsigned index = bits >> (bit % 8) & mask;
        out[c].factors[i] = static_cast<float>(codes[index]) * weight_.scales[row + i];
      }
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
  if (outliers.count == 0) return;
  const std::span columns(outliers.columns, static_cast<size_t>(outliers.count));
  thread_local ReadColumn read[kMostOutliers];
  const float* factors[kMostOutliers];
  for (int k = 0; k < kMostOutliers; ++k) factors[k] = read[k].factors;
  for (int64_t row = first; row < last; row += kTogether) {
    const int64_t count = std::min(kTogether, last - row);
    weight.read(columns, row, count, read);
    add_products(outliers, factors, count, y + row);
  }
}

// A column is read once for all rows of x that have an outlier there.
template <class Columns>
void add_of_many(const Columns& weight, int64_t columns, const Outliers* outliers, int64_t m_rows,
                 int64_t first, int64_t last, float* y, int64_t y_stride) {
  OutlierColumns& all = outlier_columns();
  all.collect(outliers, m_rows, columns);
  if (all.rows().empty()) return;
  ReadColumn* const read = all.read();
  for (int64_t row = first; row < last; row += kTogether) {
    const int64_t count = std::min(kTogether, last - row);
    weight.read(all.columns(), row, count, read);
    for (const OutlierColumns::Row& of_x : all.rows()) {
      const Outliers& of_row = outliers[of_x.m];
      const float* factors[kMostOutliers];
      for (int k = 0; k < of_row.count; ++k) factors[k] = read[of_x.places[k]].factors;
      add_products(of_row, factors, count, y + of_x.m * y_stride + row);
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
