// How a checkpoint that is quantised already holds a matrix, for those who would keep its codes.
#pragma once

#include <memory>

namespace diptych {

class Weight;

// Element [i, j] of the matrix is
//   scales[i, j / block] * (codes[i, j] - zero) + minima[i, j / block],
// block being the columns that share a scale. Its parts are computed when they are read, as the
// matrix is.
struct StoredBlocks {
  std::shared_ptr<const Weight> codes;   // int4 or int8 [rows, columns]
  std::shared_ptr<const Weight> scales;  // fp32 [rows, columns / block]
  std::shared_ptr<const Weight> minima;  // as the scales, or null: all 0
  int zero = 0;                          // the code of the minimum
};

}  // namespace diptych
