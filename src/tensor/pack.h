// How elements of less than a byte are stored.
#pragma once

#include <vector>

#include "base/bytes.h"

namespace diptych {

// Packs elements of one byte each to `width` bits each (1 to 8): one stream of bits, the least
// significant first. The last byte is filled with zeros.
void pack_bits(Bytes elements, unsigned width, std::vector<std::byte>& out);

}  // namespace diptych
