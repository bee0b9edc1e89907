// Memory that begins as zeros and takes room only where it has been written: what is large and may
// stay mostly empty, such as a cache.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/bytes.h"
#include "base/error.h"

namespace diptych {

class ZeroedMemory {
 public:
  static Result<ZeroedMemory> allocate(uint64_t size) {
    ZeroedMemory memory;
    memory.data_.reset(static_cast<std::byte*>(std::calloc(size > 0 ? size : 1, 1)));
    memory.size_ = size;
    if (memory.data_ == nullptr) return fail(ErrorCode::Io, "no memory for {} bytes", size);
    return memory;
  }

  std::byte* data() const { return data_.get(); }
  uint64_t size() const { return size_; }
  MutableBytes bytes() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte[], Free> data_;
  uint64_t size_ = 0;
};

}  // namespace diptych
