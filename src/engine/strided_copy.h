// Copies between strided views of tensors, for the operations that only move elements.
#pragma once

#include <algorithm>

#include "engine/lowering.h"
#include "engine/strided.h"

namespace diptych::engine {

// Elements of a dense tensor seen in another shape: that at (i, j, …) of `dims` is element
// base + i * strides[0] + j * strides[1] + … of the tensor. Strides may be 0 and negative.
struct View {
  int64_t base = 0;
  Shape dims, strides;

  StridedLoop<1> loop() const { return StridedLoop<1>(dims, {strides}); }
};

// All elements of a tensor as they are.
inline View whole(const Shape& shape) { return {0, shape, row_major_strides(shape)}; }

// Fills dense cells from a view of others.
void copy_view(const Frame& frame, const StridedLoop<1>& loop, const std::byte* from, int64_t base,
               std::byte* to);
// The other way: writes dense cells to the places of a view.
void write_view(const Frame& frame, const StridedLoop<1>& loop, const std::byte* from,
                std::byte* to, int64_t base);

// Copies from one tensor to another, both walked with strides; in the calling thread.
void copy_strided(const StridedLoop<2>& loop, const std::byte* from, std::byte* to);

// Emits the step that fills a dense result from a view of x.
Status emit_view(const mil::Op& op, const mil::Value& result, Lowering& lowering,
                 const mil::Value& x, const View& view);

}  // namespace diptych::engine
