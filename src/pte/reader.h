// From the bytes of a .pte file to a Program.
#pragma once

#include "pte/program.h"

namespace diptych::pte {

// Reads and checks a whole file, which may lie at any address. Only the tables are copied; delegate
// payloads, named data and constants are views into `file`, which must outlive the program and its
// copies. Every program that check() accepts is read, whatever its backends and instructions are,
// older files without segments included. Left behind are stack traces and what nobody uses
// (requires_grad, layout).
//
// Errors: InvalidData for anything damaged or contradictory (offsets outside the file, overlapping
// segments, indices out of range, duplicate names), Unsupported for another schema version, several
// chains in a method or several sets of mutable data. Memory stays within a fixed multiple of the
// file's size.
Result<Program> read(Bytes file);

}  // namespace diptych::pte
