// Products of matrices in fp32, which most of GPTQ's time goes into: second moments of inputs, the
// factor of their inverse, errors that are handed on.
// Source of the method: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (2008): parts of both matrices are brought into the order of computation and stay in caches.
#pragma once

#include <cstddef>

#include "base/thread_pool.h"

namespace diptych::quant {

// Element (i, j) is at data[i * row_stride + j * column_stride]; so a matrix read backwards across
// its diagonal is the same memory with the strides exchanged.
struct MatrixView {
  const float* data = nullptr;
  size_t row_stride = 0, column_stride = 1;

  MatrixView transposed() const { return {data, column_stride, row_stride}; }
};

// C [rows, columns], which lies neither in A nor in B. Rows begin `stride` floats apart.
struct ProductSum {
  float* data = nullptr;
  size_t stride = 0;
  size_t rows = 0, columns = 0;
};

// Which elements of C are wanted. What becomes of the others is not said.
enum class Wanted : bool {
  All,
  Upper,  // those on and above the diagonal
};

// C += factor * A B, A being [rows, depth] and B [depth, columns]. An element's bits follow from
// its row of A and its column of B and from the instruction set: not from the shape of C, nor from
// the number of threads.
void add_product(const MatrixView& a, const MatrixView& b, size_t depth, float factor,
                 const ProductSum& c, ThreadPool& pool, Wanted wanted = Wanted::All);

}  // namespace diptych::quant
