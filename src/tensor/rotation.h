// Rotations: products with a fixed orthogonal matrix that spreads every channel over all of them.
//
// R(n), for n = m * 2^k with odd m, is the Kronecker product S (x) H of the sine transform of m and
// Sylvester's Hadamard matrix of 2^k rows, divided by its root:
//   S[i][j] = sqrt(2 / (m + 1)) * sin(pi * (i + 1) * (j + 1) / (m + 1)).
// Both are symmetric and their own inverses, and so R is: R = transpose(R), R * R = 1. A product
// with a vector takes n * (k + m) steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tensor/weight.h"

namespace diptych {

// R(n). It holds S, m * m floats.
class Rotation {
 public:
  explicit Rotation(size_t n);
  size_t size() const { return size_; }
  // Multiplies a matrix [n, width] by R from the left, in place.
  void rotate_rows(float* matrix, size_t width) const;
  // Multiplies a matrix [rows, width] by diag(R, R, ...) from the right, in place; n divides width.
  void rotate_columns(float* matrix, size_t rows, size_t width) const;

 private:
  // rotate_rows() of a matrix that fits a core's cache; `room` is overwritten.
  void rotate(float* matrix, size_t width, std::vector<float>& room) const;

  size_t size_;
  size_t odd_ = 1;           // m
  std::vector<float> sine_;  // [m, m], with H's divisor
};

// The largest odd factor of a number, m above.
int64_t odd_part(int64_t n);

// Where rotated rows are kept for the next reader: of all weights that share one, the block that
// was made last.
class RotationMemory;
std::shared_ptr<RotationMemory> new_rotation_memory();

// What of a matrix is rotated: consecutive rows and columns in blocks of so many, which divide
// them, each block on its own; 0: none.
struct RotationBlocks {
  int64_t rows = 0, columns = 0;
};

// Returns `source` rotated, in fp32: with blocks B of rows and columns, diag(R, R, ...) * source *
// diag(R, R, ...), R of the blocks' size. A vector is a matrix of one column. Results are computed
// when they are read. Reading rows reads and computes all rows of their blocks, unless `memory`
// has them; a source must not be rotated by rows with the same memory.
WeightRef rotated(WeightRef source, RotationBlocks blocks, std::shared_ptr<RotationMemory> memory);

}  // namespace diptych
