// Numbers of bytes as options take them.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace diptych::cli {

// "90M", "1.5G", "123456": at least `least` bytes, with K, M or G for thousands, millions or
// billions.
Result<uint64_t> bytes_from(const std::string& text, uint64_t least);

}  // namespace diptych::cli
