// Mutations of binary files.
#pragma once

#include <string>

#include "random.h"

namespace diptych::fuzz {

// Changes one word to an interesting integer or to one near it, flips a bit, cuts, doubles, removes
// or moves a piece. With `limit` only the first so many bytes.
void mutate_bytes(std::string& bytes, Random& random, size_t limit = SIZE_MAX);
// The same without changing the length.
void mutate_word(std::string& bytes, Random& random, size_t limit = SIZE_MAX);

// Changes one field of a protobuf message or of one inside it: other bytes, another number, a field
// removed, doubled, moved, of another id or kind.
void mutate_protobuf(std::string& message, Random& random);

}  // namespace diptych::fuzz
