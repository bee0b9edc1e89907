#include "mil/blocks.h"

#include <limits>

#include "mil/params.h"

namespace diptych::mil {
namespace {

// Block sizes and paddings are far below this, so that products of dimensions are checked as such.
constexpr int64_t kMost = int64_t{1} << 31;

// Four sizes of at least 0, for rows and columns.
Result<std::array<int64_t, 4>> margins(const Op& op, std::string_view param) {
  const auto list = TRY(table_param(op, param));
  std::array<int64_t, 4> result{};
  if (list.size() != 4) return invalid_data("parameter '{}': expected [2,2]", param);
  for (size_t i = 0; i < 4; ++i) {
    if (list[i] < 0 || list[i] >= kMost) {
      return invalid_data("parameter '{}': {} is out of range", param, list[i]);
    }
    result[i] = list[i];
  }
  return result;
}

// The block's rows and columns: one number for both, or a list of two.
Result<std::array<int64_t, 2>> block_size(const Op& op, std::string_view param) {
  auto list = TRY(ints_param(op, param));
  if (list.size() == 1) list.push_back(list[0]);
  if (list.size() != 2 || list[0] < 1 || list[1] < 1 || list[0] >= kMost || list[1] >= kMost) {
    return invalid_data("parameter '{}': expected positive block sizes", param);
  }
  return std::array<int64_t, 2>{list[0], list[1]};
}

// dim / by, which must be whole.
Result<int64_t> part(int64_t dim, int64_t by) {
  if (dim % by != 0) return invalid_data("blocks of {} do not divide an axis of size {}", by, dim);
  return dim / by;
}

}  // namespace

Shape BlockMove::moved() const {
  Shape shape;
  size_t at = 0;
  for (const size_t count : joined) {
    int64_t dim = 1;
    for (const size_t end = at + count; at < end; ++at) dim *= split[order[at]];
    shape.push_back(dim);
  }
  return shape;
}

Shape BlockMove::result() const {
  Shape shape = moved();
  shape[2] -= crop[0] + crop[1];
  shape[3] -= crop[2] + crop[3];
  return shape;
}

Result<BlockMove> resolve_blocks(const Op& op) {
  const TensorType& x = op.operand("x")->type;
  if (x.rank() != 4) return invalid_data("x is {}: expected [n, c, h, w]", to_string(x));
  int64_t n = x.shape[0], c = x.shape[1], h = x.shape[2], w = x.shape[3];
  BlockMove move;
  // Out of another axis into space: h and w come before the rows and columns of the blocks.
  if (op.type == "depth_to_space") {
    const auto [rows, columns] = TRY(block_size(op, "block_size"));
    c = TRY(part(c, rows * columns));
    move.split = {n, rows, columns, c, h, w};
    move.order = {0, 3, 4, 1, 5, 2};
    move.joined = {1, 1, 2, 2};
  } else if (op.type == "pixel_shuffle") {
    const auto [rows, columns] = TRY(block_size(op, "upscale_factor"));
    c = TRY(part(c, rows * columns));
    move.split = {n, c, rows, columns, h, w};
    move.order = {0, 1, 4, 2, 5, 3};
    move.joined = {1, 1, 2, 2};
  } else if (op.type == "batch_to_space") {
    const auto [rows, columns] = TRY(block_size(op, "block_shape"));
    n = TRY(part(n, rows * columns));
    move.split = {rows, columns, n, c, h, w};
    move.order = {2, 3, 4, 0, 5, 1};
    move.joined = {1, 1, 2, 2};
    move.crop = TRY(margins(op, "crops"));
  } else if (op.type == "space_to_depth") {
    const auto [rows, columns] = TRY(block_size(op, "block_size"));
    move.split = {n, c, TRY(part(h, rows)), rows, TRY(part(w, columns)), columns};
    move.order = {0, 3, 5, 1, 2, 4};
    move.joined = {1, 3, 1, 1};
  } else if (op.type == "pixel_unshuffle") {
    const auto [rows, columns] = TRY(block_size(op, "downscale_factor"));
    move.split = {n, c, TRY(part(h, rows)), rows, TRY(part(w, columns)), columns};
    move.order = {0, 1, 3, 5, 2, 4};
    move.joined = {1, 3, 1, 1};
  } else {  // space_to_batch
    const auto [rows, columns] = TRY(block_size(op, "block_shape"));
    move.pad = TRY(margins(op, "paddings"));
    if (h >= kMost || w >= kMost) return unsupported("x is {}: too large", to_string(x));
    h += move.pad[0] + move.pad[1];
    w += move.pad[2] + move.pad[3];
    move.split = {n, c, TRY(part(h, rows)), rows, TRY(part(w, columns)), columns};
    move.order = {3, 5, 0, 1, 2, 4};
    move.joined = {3, 1, 1, 1};
  }
  TRY(element_count(move.split));
  const Shape result = move.result();
  if (result[2] < 1 || result[3] < 1) {
    return invalid_data("parameter 'crops': nothing is left of {}", to_string(move.moved()));
  }
  return move;
}

}  // namespace diptych::mil
