// A tensor whose elements lie at a distance from each other: a transposed or sliced view of a
// storage, gathered row by row when it is read.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "tensor/weight.h"

namespace diptych::checkpoint {

// How many elements of a storage a view reaches over: 1 + the offset of its last element, or 0 when
// it has none. Strides are in elements; negative ones and overflow are errors.
Result<uint64_t> view_extent(uint64_t offset, const Shape& shape,
                             const std::vector<int64_t>& stride);

// True when a view's elements follow one another in row-major order.
bool is_contiguous(const Shape& shape, const std::vector<int64_t>& stride);

// A view of `storage` (whole elements of type.dtype, byte-sized at least) that `owner` keeps alive.
// Contiguous views are mapped in place; view_extent() of it must lie within the storage.
Result<WeightRef> view_weight(TensorType type, Bytes storage, uint64_t offset,
                              std::vector<int64_t> stride, std::shared_ptr<const void> owner);

}  // namespace diptych::checkpoint
