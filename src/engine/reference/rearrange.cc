// Operations that take, repeat, pad and rearrange parts of a tensor. They work on cells of any
// type.
#include <algorithm>
#include <cstring>

#include "engine/cells.h"
#include "engine/kernels.h"
#include "engine/strided_copy.h"
#include "mil/blocks.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kRearrangeGrain = 1 << 15;  // elements worth a thread of their own

int64_t elements(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

const Shape& x_shape(const mil::Op& op) { return op.operand("x")->type.shape; }

Status emit_view_of_x(const mil::Op& op, Lowering& lowering, const View& view) {
  return emit_view(op, *op.result(), lowering, *op.operand("x"), view);
}

// What slices take of a tensor.
View view_of(const Shape& shape, const std::vector<mil::SliceAxis>& slices) {
  const Shape dense = row_major_strides(shape);
  View view;
  for (size_t i = 0; i < slices.size(); ++i) {
    view.base += slices[i].begin * dense[i];
    view.dims.push_back(slices[i].count);
    view.strides.push_back(slices[i].stride * dense[i]);
  }
  return view;
}

std::vector<int64_t> ints_at(const Frame& frame, Place place, size_t count) {
  const int32_t* cells = frame.ints(place);
  return {cells, cells + count};
}

// Where along one axis of size `n` the element comes from that stands `i` places behind the first:
// -1 for what lies outside and is filled.
int64_t padded_source(int64_t i, int64_t n, std::string_view mode) {
  if (i >= 0 && i < n) return i;
  if (mode == "constant") return -1;
  if (mode == "replicate") return std::clamp<int64_t>(i, 0, n - 1);
  return i < 0 ? -i : 2 * (n - 1) - i;  // reflect: at most n - 1 elements
}

}  // namespace

Status lower_slice_by_index(const mil::Op& op, Lowering& lowering) {
  return emit_view_of_x(op, lowering, view_of(x_shape(op), TRY(mil::resolve_slice(op))));
}

Status lower_slice_by_size(const mil::Op& op, Lowering& lowering) {
  const Shape shape = x_shape(op);
  const Shape dims = op.result()->type.shape, dense = row_major_strides(shape);
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place begin = TRY(lowering.cells(*op.operand("begin")));
  const Place result = TRY(lowering.result(*op.result()));
  const StridedLoop<1> loop(dims, {dense});
  lowering.emit(op, [=](const Frame& frame) -> Status {
    int64_t base = 0;
    const auto given = ints_at(frame, begin, shape.size());
    for (size_t i = 0; i < shape.size(); ++i) {
      const int64_t from = given[i] < 0 ? given[i] + shape[i] : given[i];
      if (from < 0 || from > shape[i] - dims[i]) {
        return invalid_argument("{} elements from {} of axis {} of size {}", dims[i], given[i], i,
                                shape[i]);
      }
      base += from * dense[i];
    }
    copy_view(frame, loop, frame.bytes(x), base, frame.bytes(result));
    return {};
  });
  return {};
}

// x with a slice of it, whose bounds may be computed, overwritten.
Status lower_slice_update(const mil::Op& op, Lowering& lowering) {
  const Shape shape = x_shape(op), wanted = op.operand("update")->type.shape;
  const mil::SliceMasks masks = TRY(mil::slice_masks(op));
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place update = TRY(lowering.cells(*op.operand("update")));
  const Place begin = TRY(lowering.cells(*op.operand("begin")));
  const Place end = TRY(lowering.cells(*op.operand("end")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=, count = elements(shape)](const Frame& frame) -> Status {
    const auto slices = TRY(mil::resolve_slice(shape, ints_at(frame, begin, shape.size()),
                                               ints_at(frame, end, shape.size()), masks));
    Shape found;
    for (const mil::SliceAxis& axis : slices) {
      if (!axis.squeeze) found.push_back(axis.count);
    }
    if (found != wanted) {
      return invalid_argument("an update of {} for a slice of {}", diptych::to_string(wanted),
                              diptych::to_string(found));
    }
    const View view = view_of(shape, slices);
    std::memcpy(frame.bytes(result), frame.bytes(x), static_cast<size_t>(count * kCellSize));
    write_view(frame, view.loop(), frame.bytes(update), frame.bytes(result), view.base);
    return {};
  });
  return {};
}

Status lower_crop(const mil::Op& op, Lowering& lowering) {
  const Shape dense = row_major_strides(x_shape(op));
  const auto rows = TRY(mil::ints_param(op, "crop_height"));
  const auto columns = TRY(mil::ints_param(op, "crop_width"));
  const int64_t base = rows[0] * dense.end()[-2] + columns[0];
  return emit_view_of_x(op, lowering, {base, op.result()->type.shape, dense});
}

Status lower_reverse(const mil::Op& op, Lowering& lowering) {
  View view = whole(x_shape(op));
  for (const int64_t axis :
       TRY(mil::resolve_axes_param(op, "axes", static_cast<int64_t>(view.dims.size())))) {
    const auto i = static_cast<size_t>(axis);
    view.base += (view.dims[i] - 1) * view.strides[i];
    view.strides[i] = -view.strides[i];
  }
  return emit_view_of_x(op, lowering, view);
}

// Each axis in two: the repetitions and x's own.
Status lower_tile(const mil::Op& op, Lowering& lowering) {
  const auto reps = TRY(mil::ints_param(op, "reps"));
  const View x = whole(x_shape(op));
  View view;
  for (size_t i = 0; i < reps.size(); ++i) {
    view.dims.insert(view.dims.end(), {reps[i], x.dims[i]});
    view.strides.insert(view.strides.end(), {0, x.strides[i]});
  }
  return emit_view_of_x(op, lowering, view);
}

Status lower_sliding_windows(const mil::Op& op, Lowering& lowering) {
  View view = whole(x_shape(op));
  const auto axis = static_cast<size_t>(TRY(
      mil::resolve_axis(TRY(mil::int_param(op, "axis")), static_cast<int64_t>(view.dims.size()))));
  const int64_t step = view.strides[axis];
  view.dims = op.result()->type.shape;
  view.strides[axis] = step * TRY(mil::int_param(op, "stride", 1));
  view.strides.insert(view.strides.begin() + static_cast<std::ptrdiff_t>(axis) + 1, step);
  return emit_view_of_x(op, lowering, view);
}

// Along each axis a list of the places that the result's elements come from.
Status lower_pad(const mil::Op& op, Lowering& lowering) {
  const Shape from = x_shape(op), to = op.result()->type.shape, dense = row_major_strides(from);
  const std::string mode = TRY(mil::string_param(op, "mode", "constant"));
  const uint32_t fill =
      cell_of(op.result()->type.dtype, TRY(mil::number_param(op, "constant_val", 0)));
  std::vector<int64_t> before(from.size());
  for (const auto& axis : TRY(mil::resolve_pad(op))) before[axis.axis] = axis.before;
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  const Shape rows(to.begin(), to.end() - (to.empty() ? 0 : 1));
  const int64_t width = to.empty() ? 1 : to.back();
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const auto* source = reinterpret_cast<const uint32_t*>(frame.bytes(x));
    auto* out = reinterpret_cast<uint32_t*>(frame.bytes(result));
    frame.pool.parallel_for(
        elements(rows), std::max<int64_t>(kRearrangeGrain / width, 1),
        [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            int64_t base = 0, rest = row;
            bool outside = false;
            for (size_t i = rows.size(); i-- > 0;) {
              const int64_t at = padded_source(rest % rows[i] - before[i], from[i], mode);
              rest /= rows[i];
              outside = outside || at < 0;
              base += at * dense[i];
            }
            for (int64_t i = 0; i < width; ++i) {
              const int64_t at =
                  to.empty() ? 0 : padded_source(i - before.back(), from.back(), mode);
              out[row * width + i] = outside || at < 0 ? fill : source[base + at];
            }
          }
        });
    return {};
  });
  return {};
}

// The first lengths[b] elements along one axis in reverse, for each slice b along another.
Status lower_reverse_sequence(const mil::Op& op, Lowering& lowering) {
  const Shape shape = x_shape(op), dense = row_major_strides(shape);
  const auto rank = static_cast<int64_t>(shape.size());
  const auto axis_param = [&](std::string_view param) -> Result<size_t> {
    return static_cast<size_t>(TRY(mil::resolve_axis(TRY(mil::int_param(op, param, 0)), rank)));
  };
  const size_t sequence = TRY(axis_param("seq_axis")), batch = TRY(axis_param("batch_axis"));
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place lengths = TRY(lowering.cells(*op.operand("lengths")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=, count = elements(shape)](const Frame& frame) -> Status {
    const int32_t* length = frame.ints(lengths);
    for (int64_t b = 0; b < shape[batch]; ++b) {
      if (length[b] < 0 || length[b] > shape[sequence]) {
        return invalid_argument("length {} at position {} is outside [0, {}]", length[b], b,
                                shape[sequence]);
      }
    }
    const auto* from = reinterpret_cast<const uint32_t*>(frame.bytes(x));
    auto* to = reinterpret_cast<uint32_t*>(frame.bytes(result));
    frame.pool.parallel_for(count, kRearrangeGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i / dense[sequence] % shape[sequence];
        const int64_t n = length[i / dense[batch] % shape[batch]];
        to[i] = from[at < n ? i + (n - 1 - 2 * at) * dense[sequence] : i];
      }
    });
    return {};
  });
  return {};
}

// Zero outside of the diagonals from `lower` below to `upper` above the main one.
Status lower_band_part(const mil::Op& op, Lowering& lowering) {
  const Shape& shape = x_shape(op);
  const int64_t lower = TRY(mil::int_param(op, "lower", -1));
  const int64_t upper = TRY(mil::int_param(op, "upper", -1));
  const int64_t rows = shape.end()[-2], columns = shape.end()[-1];
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=, count = elements(shape)](const Frame& frame) -> Status {
    const auto* from = reinterpret_cast<const uint32_t*>(frame.bytes(x));
    auto* to = reinterpret_cast<uint32_t*>(frame.bytes(result));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t below = i / columns % rows - i % columns;
      const bool kept = (lower < 0 || below <= lower) && (upper < 0 || -below <= upper);
      to[i] = kept ? from[i] : 0;
    }
    return {};
  });
  return {};
}

Status lower_blocks(const mil::Op& op, Lowering& lowering) {
  const mil::BlockMove move = TRY(mil::resolve_blocks(op));
  const Shape from = x_shape(op), moved = move.moved();
  Shape padded = from;
  padded[2] += move.pad[0] + move.pad[1];
  padded[3] += move.pad[2] + move.pad[3];
  // First the padding, then the move, then the crop; each only where there is something to do.
  const Shape split = row_major_strides(move.split), dense = row_major_strides(padded);
  View parts;
  for (const size_t axis : move.order) {
    parts.dims.push_back(move.split[axis]);
    parts.strides.push_back(split[axis]);
  }
  const View kept{move.crop[0] * moved[3] + move.crop[2], move.result(), row_major_strides(moved)};
  const bool pads = padded != from, crops = kept.dims != moved;
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  const auto size = static_cast<uint64_t>(elements(moved));
  const Place wide = pads ? TRY(lowering.scratch(size)) : x;
  const Place all = crops ? TRY(lowering.scratch(size)) : result;
  lowering.emit(
      op,
      [=, parts_loop = parts.loop(), kept_loop = kept.loop(), inner = StridedLoop<1>(from, {dense}),
       first = move.pad[0] * dense[2] + move.pad[2]](const Frame& frame) -> Status {
        if (pads) {
          std::memset(frame.bytes(wide), 0, size * kCellSize);
          write_view(frame, inner, frame.bytes(x), frame.bytes(wide), first);
        }
        copy_view(frame, parts_loop, frame.bytes(wide), 0, frame.bytes(all));
        if (crops) copy_view(frame, kept_loop, frame.bytes(all), kept.base, frame.bytes(result));
        return {};
      });
  return {};
}

}  // namespace diptych::engine
