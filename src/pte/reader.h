// From the bytes of a .pte file to a Program.
#pragma once

#include "pte/program.h"

namespace diptych::pte {

// Reads and checks a whole file, which may lie at any address. Only the tables are copied: delegate
// payloads, named data and constants are views into `file`, which must outlive the program and its
// copies. Every program that check() accepts can be read, whatever its backends and instructions
// are, older files without segments included. Stack traces and unused fields (requires_grad,
// layout) are dropped.
//
// Errors: InvalidData for anything damaged or contradictory (offsets outside the file, overlapping
// segments, indices out of range, duplicate names), Unsupported for another schema version, several
// chains in a method or several sets of mutable data. Memory stays within a fixed multiple of the
// file's size.
Result<Program> read(Bytes file);

}  // namespace diptych::pte
