#include "kernels/kernel_memory.h"

#include <memory>
#include <new>

namespace diptych::kernels {

namespace {

constexpr std::align_val_t kAlignment{64};

struct Free {
  void operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }
};

struct Block {
  std::unique_ptr<std::byte, Free> bytes;
  size_t size = 0;
};

}  // namespace

std::byte* kernel_memory(KernelMemory kind, size_t bytes) {
  thread_local Block blocks[static_cast<size_t>(KernelMemory::kCount)];
  Block& block = blocks[static_cast<size_t>(kind)];
  if (block.size < bytes) {
    block = {};
    block.bytes.reset(static_cast<std::byte*>(::operator new(bytes, kAlignment)));
    block.size = bytes;
  }
  return block.bytes.get();
}

}  // namespace diptych::kernels
