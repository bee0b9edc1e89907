#include "generate/row_ring.h"

#include <algorithm>
#include <cstring>

namespace diptych::generate {

std::byte* RowRing::slot(int64_t head, int64_t index) const {
  return memory_.data() + (first_ + head * shape_.slots + index) * shape_.row_bytes;
}

std::byte* RowRing::aside(int64_t position, int64_t head) const {
  const int64_t row = position % shape_.slots * shape_.heads + head;
  return memory_.data() + shape_.view_bytes() + (shape_.slots + row) * shape_.row_bytes;
}

Bytes RowRing::view() const { return {slot(0, 0), static_cast<size_t>(shape_.view_bytes())}; }

void RowRing::move_to(int64_t first) {
  const std::byte* from = slot(0, 0);
  first_ = first;
  std::memmove(slot(0, 0), from, static_cast<size_t>(shape_.view_bytes()));
}

void RowRing::append(int64_t position, const std::byte* row, uint64_t head_stride) {
  const auto bytes = static_cast<size_t>(shape_.row_bytes);
  if (const int64_t dropped = position - shape_.slots; dropped >= 0) {
    for (int64_t head = 0; head < shape_.heads; ++head) {
      std::memcpy(aside(dropped, head), slot(head, 0), bytes);
    }
    oldest_ = std::max(oldest_, dropped - shape_.slots + 1);
  }
  if (first_ == shape_.slots) move_to(0);
  ++first_;
  for (int64_t head = 0; head < shape_.heads; ++head, row += head_stride) {
    std::memcpy(slot(head, shape_.slots - 1), row, bytes);
  }
}

bool RowRing::holds(int64_t tokens, int64_t needed) const {
  const int64_t first = std::max<int64_t>(0, tokens - needed);
  return first == tokens || oldest_ <= first;
}

void RowRing::rewind(int64_t from, int64_t tokens) {
  const int64_t back = from - tokens;
  oldest_ = std::min(oldest_, tokens);
  if (back > first_) move_to(shape_.slots);
  // Beyond that no slot stays.
  first_ -= std::min(back, shape_.slots);
  // What was in the last slots of a head is in the first of the next one, where it does not belong.
  const int64_t before = tokens - shape_.slots;
  for (int64_t i = std::max<int64_t>(0, oldest_ - before); i < std::min(back, shape_.slots); ++i) {
    for (int64_t head = 0; head < shape_.heads; ++head) {
      std::memcpy(slot(head, i), aside(before + i, head), static_cast<size_t>(shape_.row_bytes));
    }
  }
}

void RowRing::copy_from(const RowRing& other) {
  std::copy_n(other.memory_.data(), memory_.size(), memory_.data());
  first_ = other.first_;
  oldest_ = other.oldest_;
}

}  // namespace diptych::generate
