// What two files say of themselves: constant methods, and data such as the tokenizer.
#pragma once

#include <string>
#include <vector>

#include "compare/subject.h"

namespace diptych::compare {

// An entry that differs, in words for each side: the value, of a table the type and its first
// element that differs ("fp16[96,8], 0.54 at element 0"), of data the number of bytes. "-" where a
// file lacks the entry.
struct MetadataDifference {
  std::string name, a, b;
};

// The bytes of all weights, each once, and entries by name. Core ML models have no entries.
// Packages are no metadata.
std::vector<MetadataDifference> metadata_differences(const Subject& a, const Subject& b);

}  // namespace diptych::compare
