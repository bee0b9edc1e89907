// What the machine can do at most, measured beside the tests with the same threads, so that other
// work on the machine slows both: how fast it reads memory, which bounds decoding, and how fast it
// multiplies and adds, which bounds prefill.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/thread_pool.h"
#include "base/zeroed_memory.h"
#include "generate/method_cost.h"
#include "kernels/arithmetic.h"
#include "kernels/isa.h"

namespace diptych::measure {

// Names of the limits in reports.
inline constexpr std::string_view kMemoryReadLimit = "memory reads";
inline constexpr std::string_view kFmaLimit = "fp32 multiply-adds";
inline constexpr std::string_view kIntegerLimit = "integer dot products";
inline constexpr std::string_view kBf16Limit = "bf16 dot products";

// A buffer larger than all caches: 4 times the last-level cache or 512 MiB, whichever is more, and
// never more than a quarter of the memory that is available.
class MemoryReader {
 public:
  // An error when there is no memory for the buffer.
  static Result<std::unique_ptr<MemoryReader>> create(ThreadPool& pool);

  uint64_t size() const { return memory_.bytes().size(); }
  // Reads all of it once, as 64-bit words. In bytes per second.
  double measure(ThreadPool& pool) const;

 private:
  explicit MemoryReader(ZeroedMemory memory) : memory_(std::move(memory)) {}
  uint64_t* words() const { return reinterpret_cast<uint64_t*>(memory_.bytes().data()); }

  ZeroedMemory memory_;
};

// Multiply-adds in registers, for some milliseconds, in the widest vectors that the machine has. In
// operations per second, two for each.
double measure_fma(ThreadPool& pool);
// The same of dot products (kernels/dot_loop.h); 0 where the instruction set has none.
double measure_dot(ThreadPool& pool, kernels::Isa isa, kernels::Arithmetic arithmetic);

// Operations per second of each kind; 0 where there are no dot products for it.
using Peaks = kernels::ByArithmetic<double>;
Peaks measure_peaks(ThreadPool& pool, kernels::Isa isa);

// How fast a mix of multiply-adds can be done at most: each kind at its own peak, one after the
// other; what has no peak of its own counts as fp32.
double peak_of(const generate::MultiplyAdds& work, const Peaks& peaks);

}  // namespace diptych::measure
