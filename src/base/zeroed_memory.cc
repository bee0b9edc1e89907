#include "base/zeroed_memory.h"

#include <sys/mman.h>

#include <limits>

#include "base/proc.h"
#include "base/system_error.h"

namespace diptych {

Result<ZeroedMemory> ZeroedMemory::allocate(uint64_t size) {
  if (size == 0) return ZeroedMemory();
  void* data = MAP_FAILED;
  if (size <= std::numeric_limits<size_t>::max()) {
    data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (data == MAP_FAILED) return out_of_memory(size);
  ::madvise(data, size, MADV_HUGEPAGE);  // fewer pages to walk; a wish only
  return ZeroedMemory({static_cast<std::byte*>(data), static_cast<size_t>(size)});
}

void ZeroedMemory::populate() const {
#ifdef MADV_POPULATE_WRITE
  const size_t size = data_.get_deleter().size;
  if (size > 0 && size <= available_memory_bytes() / 2) {
    ::madvise(data_.get(), size, MADV_POPULATE_WRITE);
  }
#endif
}

void ZeroedMemory::Unmap::operator()(std::byte* data) const { ::munmap(data, size); }

}  // namespace diptych
