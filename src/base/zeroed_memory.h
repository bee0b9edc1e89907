// Memory that begins as zeros and takes room only where it has been touched, in huge pages where
// the system has them: what is large and read from end to end, such as caches.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/error.h"

namespace diptych {

class ZeroedMemory {
 public:
  ZeroedMemory() = default;
  // `size` bytes from the beginning of a page on.
  static Result<ZeroedMemory> allocate(uint64_t size);

  // Takes all of its room now, contents unchanged, so that nothing waits for the system's zeros
  // later: a virtual machine may clear less than 1 GB a second. Does nothing where that is more
  // than half of the memory that is available, or Linux is older than 5.14.
  void populate() const;

  MutableBytes bytes() const { return {data_.get(), data_.get_deleter().size}; }

 private:
  struct Unmap {
    size_t size;
    void operator()(std::byte* data) const;
  };
  explicit ZeroedMemory(MutableBytes bytes) : data_(bytes.data(), Unmap{bytes.size()}) {}
  std::unique_ptr<std::byte[], Unmap> data_{nullptr, Unmap{0}};
};

}  // namespace diptych
