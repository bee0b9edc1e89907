// What a token is called by.
#pragma once

#include <cstdint>

namespace diptych::text {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

}  // namespace diptych::text
