#include "engine/arena.h"

#include <algorithm>
#include <iterator>

#include "base/bytes.h"

namespace diptych::engine {
namespace {

uint64_t padded(uint64_t size) { return align_up(std::max<uint64_t>(size, 1), kArenaAlignment); }

}  // namespace

Result<uint64_t> ArenaPlanner::allocate(uint64_t size) {
  if (size > limit_) {
    return unsupported("a buffer of {} bytes is beyond the memory limit of {}", size, limit_);
  }
  size = padded(size);
  const auto fit = free_by_size_.lower_bound({size, 0});
  if (fit != free_by_size_.end()) {
    const auto [free_size, offset] = *fit;
    remove_free(free_.find(offset));
    if (free_size > size) add_free(offset + size, free_size - size);
    return offset;
  }
  // Grow, starting in the free range at the end if there is one.
  uint64_t offset = end_;
  if (!free_.empty()) {
    const auto last = std::prev(free_.end());
    if (last->first + last->second == end_) {
      offset = last->first;
      remove_free(last);
    }
  }
  uint64_t end = 0;
  if (!checked_add(offset, size, &end) || end > limit_) {
    return unsupported("buffers of more than {} bytes in all are beyond the memory limit", limit_);
  }
  end_ = end;
  return offset;
}

void ArenaPlanner::release(uint64_t offset, uint64_t size) {
  size = padded(size);
  const auto after = free_.lower_bound(offset);
  if (after != free_.end() && offset + size == after->first) {
    size += after->second;
    remove_free(after);
  }
  const auto next = free_.lower_bound(offset);
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      remove_free(before);
    }
  }
  add_free(offset, size);
}

void ArenaPlanner::add_free(uint64_t offset, uint64_t size) {
  free_.emplace(offset, size);
  free_by_size_.emplace(size, offset);
}

void ArenaPlanner::remove_free(std::map<uint64_t, uint64_t>::iterator range) {
  free_by_size_.erase({range->second, range->first});
  free_.erase(range);
}

}  // namespace diptych::engine
