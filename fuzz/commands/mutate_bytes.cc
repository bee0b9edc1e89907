#include "mutate_bytes.h"

#include <algorithm>
#include <cstring>

#include "hostile.h"

namespace diptych::fuzz {

void mutate_word(std::string& bytes, Random& random, size_t limit) {
  const size_t size = std::min(bytes.size(), limit);
  if (size == 0) return;
  const size_t width = std::min<size_t>(size_t{1} << random.below(4), size);
  size_t at = random.below(size - width + 1);
  if (!random.one_in(4)) at = at / width * width;
  uint64_t value = 0;
  std::memcpy(&value, &bytes[at], width);
  switch (random.below(4)) {
    case 0:
      value ^= uint64_t{1} << random.below(8 * width);
      break;
    case 1:
      value += random.below(17) - 8;
      break;
    case 2:
      value = random.below(size);
      break;
    default:
      value = hostile_integer(random);
  }
  std::memcpy(&bytes[at], &value, width);
}

void mutate_bytes(std::string& bytes, Random& random, size_t limit) {
  const size_t size = std::min(bytes.size(), limit);
  if (size == 0) {
    bytes += hostile_text(random);
    return;
  }
  const size_t at = random.below(size);
  const size_t count = std::min(random.below(64) + 1, size - at);
  switch (random.below(10)) {
    case 0:
      bytes.resize(at);
      break;
    case 1:
      bytes.insert(at, bytes.substr(at, count));
      break;
    case 2:
      bytes.erase(at, count);
      break;
    case 3:
      bytes.replace(random.below(size - count + 1), count, bytes.substr(at, count));
      break;
    default:
      mutate_word(bytes, random, limit);
  }
}

}  // namespace diptych::fuzz
