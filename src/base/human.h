// Quantities as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace diptych {

std::string human_bytes(uint64_t bytes);  // "1.2 GiB"

}  // namespace diptych
