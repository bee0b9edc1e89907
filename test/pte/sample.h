// Programs and files for the tests of src/pte.
#pragma once

#include <vector>

#include "pte/program.h"

namespace diptych::pte {

// A program that uses every kind of value, instruction and payload.
Program sample_program();

// The file of a program that can be written.
std::vector<std::byte> file_of(const Program& program);

// The same program as if it had not been read from a file.
Program without_layout(Program program);

// `size` bytes that depend on `seed`.
std::vector<std::byte> some_bytes(size_t size, int seed = 0);

}  // namespace diptych::pte
