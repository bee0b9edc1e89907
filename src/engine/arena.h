// Lays buffers out in one block of memory so that those that live at different times share space.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "base/error.h"

namespace diptych::engine {

// The alignment of all memory that a plan's steps compute in: a cache line, in bytes.
constexpr uint64_t kArenaAlignment = 64;

// Gives out [offset, offset+size) ranges of a block that grows as needed; a released range is used
// again. Offsets are multiples of kArenaAlignment.
class ArenaPlanner {
 public:
  // The block never grows beyond `limit` bytes.
  explicit ArenaPlanner(uint64_t limit) : limit_(limit) {}

  // Returns the offset of the smallest free range that is large enough. Errors: the block would
  // grow beyond its limit.
  Result<uint64_t> allocate(uint64_t size);
  // Gives back the range that allocate(size) returned.
  void release(uint64_t offset, uint64_t size);

  uint64_t block_size() const { return end_; }

 private:
  void add_free(uint64_t offset, uint64_t size);
  void remove_free(std::map<uint64_t, uint64_t>::iterator range);

  uint64_t limit_;
  uint64_t end_ = 0;
  std::map<uint64_t, uint64_t> free_;                     // offset -> size, never adjacent
  std::set<std::pair<uint64_t, uint64_t>> free_by_size_;  // (size, offset)
};

}  // namespace diptych::engine
