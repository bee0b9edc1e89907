#include "tensor/pack.h"

namespace diptych {

void pack_bits(Bytes elements, unsigned width, std::vector<std::byte>& out) {
  out.resize((elements.size() * width + 7) / 8);
  size_t i = 0, at = 0;
  if (width == 4) {
    for (; i + 1 < elements.size(); i += 2) {
      out[at++] = (elements[i] & std::byte{15}) | (elements[i + 1] << 4);
    }
  }
  unsigned pending = 0, filled = 0;
  for (; i < elements.size(); ++i) {
    pending |= (static_cast<unsigned>(elements[i]) & ((1u << width) - 1)) << filled;
    filled += width;
    if (filled >= 8) {
      out[at++] = std::byte(pending & 0xFF);
      pending >>= 8;
      filled -= 8;
    }
  }
  if (filled > 0) out[at] = std::byte(pending & 0xFF);
}

}  // namespace diptych
