// The two loops that the linear algebra of GPTQ consists of.
#pragma once

#include <cstddef>

namespace diptych::quant {

// Rows of a matrix, each times a factor of its own.
struct WeightedRows {
  const float* rows = nullptr;  // row r begins at rows + r * row_stride
  size_t row_stride = 0;
  const float* factors = nullptr;  // factor r is factors[r * factor_stride]
  size_t factor_stride = 1;
  size_t count = 0;
};

// out[j] += sign * (sum over r of factor r * row r[j]) for the first `columns` elements. `out` may
// be one of the matrix's rows, but none of these.
void add_rows(const WeightedRows& rows, float sign, float* out, size_t columns);

// sum of a[i] * b[i]
float dot(const float* a, const float* b, size_t count);

}  // namespace diptych::quant
