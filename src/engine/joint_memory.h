// Memory for what executions that run together share: rows of all of them side by side.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <new>

namespace diptych::engine {

// Mutable; one run at a time.
class JointMemory {
 public:
  // At least `size` bytes aligned to 64, the same for a slot until it asks for more; their contents
  // are lost then. Steps use the numbers of places for what lasts beyond them.
  std::byte* of(size_t slot, size_t size) {
    Buffer& buffer = buffers_[slot];
    if (buffer.size < size) {
      buffer.bytes.reset(static_cast<std::byte*>(::operator new[](size, kAligned)));
      buffer.size = size;
    }
    return buffer.bytes.get();
  }

 private:
  static constexpr std::align_val_t kAligned{64};
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, kAligned); }
  };
  struct Buffer {
    std::unique_ptr<std::byte[], Free> bytes;
    size_t size = 0;
  };
  std::map<size_t, Buffer> buffers_;
};

}  // namespace diptych::engine
