// Values that readers of files have stumbled over, by type.
#pragma once

#include <string>

#include "random.h"

namespace diptych::fuzz {

// Where a hostile absolute path points; nothing may ever appear there.
inline constexpr const char* kAbsolutePath = "/tmp/diptych-fuzz-escaped";

// Any bytes: control characters, escapes for terminals, broken UTF-8, paths, lengths.
std::string hostile_text(Random& random);
// So many copies of `size` bytes as make no more than some MiB, `count` at most.
size_t affordable(size_t count, size_t size);
// A path out of the directory, or one that no file can have.
std::string hostile_path(Random& random);
// A number as JSON might spell it, or might not.
std::string hostile_number(Random& random);
// An integer near a limit.
uint64_t hostile_integer(Random& random);
// Any JSON value, in one case of many a huge or deep one.
std::string hostile_json(Random& random);
// The text as a JSON string; now and then its bytes are put in raw.
std::string json_quoted(const std::string& text, Random& random);

}  // namespace diptych::fuzz
