#include "checkpoint/strided_weight.h"

#include <algorithm>

namespace diptych::checkpoint {

namespace {

class StridedWeight : public Weight {
 public:
  StridedWeight(TensorType type, Bytes storage, uint64_t offset, std::vector<int64_t> stride,
                std::shared_ptr<const void> owner)
      : Weight(std::move(type)),
        storage_(storage),
        offset_(offset),
        stride_(std::move(stride)),
        owner_(std::move(owner)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    if (row_elements() == 0) return {};
    for (int64_t row = first; row < first + count; ++row) {
      const uint64_t start = offset_ + static_cast<uint64_t>(row * stride_[0]);
      read_row(start, out.data() + static_cast<uint64_t>(row - first) * row_bytes());
    }
    return {};
  }

 private:
  // Counts through the axes after the first, the last one fastest.
  void read_row(uint64_t start, std::byte* out) const {
    const uint64_t width = static_cast<uint64_t>(bit_width(dtype())) / 8;
    Shape index(shape().size(), 0);
    uint64_t at = start;
    for (uint64_t i = 0; i < row_elements(); ++i, out += width) {
      std::memcpy(out, storage_.data() + at * width, width);
      for (size_t axis = shape().size() - 1; axis > 0; --axis) {
        at += static_cast<uint64_t>(stride_[axis]);
        if (++index[axis] < shape()[axis]) break;
        at -= static_cast<uint64_t>(shape()[axis] * stride_[axis]);
        index[axis] = 0;
      }
    }
  }

  Bytes storage_;
  uint64_t offset_;
  std::vector<int64_t> stride_;
  std::shared_ptr<const void> owner_;
};

}  // namespace

Result<uint64_t> view_extent(uint64_t offset, const Shape& shape,
                             const std::vector<int64_t>& stride) {
  if (shape.size() != stride.size()) {
    return invalid_data("{} dimensions, but {} strides", shape.size(), stride.size());
  }
  if (TRY(element_count(shape)) == 0) return 0;
  uint64_t last = offset;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (stride[i] < 0) return invalid_data("the negative stride {}", stride[i]);
    uint64_t reach = 0;
    if (!checked_mul(static_cast<uint64_t>(shape[i] - 1), static_cast<uint64_t>(stride[i]),
                     &reach) ||
        !checked_add(last, reach, &last)) {
      return invalid_data("strides {} of shape {} overflow", to_string(stride), to_string(shape));
    }
  }
  uint64_t extent = 0;
  if (!checked_add(last, 1, &extent))
    return invalid_data("the storage offset {} overflows", offset);
  return extent;
}

bool is_contiguous(const Shape& shape, const std::vector<int64_t>& stride) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return true;
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;  // never stepped over
    if (stride[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

Result<WeightRef> view_weight(TensorType type, Bytes storage, uint64_t offset,
                              std::vector<int64_t> stride, std::shared_ptr<const void> owner) {
  const uint64_t width = static_cast<uint64_t>(bit_width(type.dtype)) / 8;
  const uint64_t extent = TRY(view_extent(offset, type.shape, stride));
  const uint64_t available = storage.size() / width;
  if (extent > available) {
    return invalid_data(
        "{} elements of the storage are needed (offset {}, shape {}, strides {}), "
        "found {}",
        extent, offset, to_string(type.shape), to_string(stride), available);
  }
  if (is_contiguous(type.shape, stride)) {
    const uint64_t size = TRY(packed_size(type));
    const Bytes packed = size == 0 ? Bytes() : storage.subspan(offset * width, size);
    return mapped_weight(std::move(type), packed, std::move(owner));
  }
  // A view of repeated elements could claim to be larger than any file.
  if (TRY(element_count(type.shape)) > available) {
    return unsupported(
        "shape {} with strides {} repeats the {} elements of its storage; save the "
        "tensor with .contiguous()",
        to_string(type.shape), to_string(stride), available);
  }
  return WeightRef(std::make_shared<StridedWeight>(std::move(type), storage, offset,
                                                   std::move(stride), std::move(owner)));
}

}  // namespace diptych::checkpoint
