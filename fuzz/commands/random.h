// The one source of chance of the command fuzzer: the same seed gives the same inputs everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace diptych::fuzz {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // splitmix64, whose numbers do not depend on the standard library.
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  // Below `limit`; 0 when that is 0.
  size_t below(size_t limit) { return limit == 0 ? 0 : next() % limit; }
  bool one_in(size_t count) { return below(count) == 0; }
  template <class List>
  const auto& pick(const List& list) {
    return *std::next(std::begin(list), static_cast<std::ptrdiff_t>(below(std::size(list))));
  }

 private:
  uint64_t state_;
};

}  // namespace diptych::fuzz
