// From a Program to the bytes of a .pte file.
#pragma once

#include "pte/program.h"

namespace diptych::pte {

// Lays out the file and returns it as a stream. Payloads are produced in file order while the
// stream is written, and are never held as a whole. The program must pass check(). Views in it must
// outlive the stream.
//
// The layout is upstream's: tables and extended header, then the segments: constants, initial
// states (if any), delegate payloads in method order, named data in order. Equal blobs (see
// Blob::operator==) of the same kind share a segment; empty delegate payloads stay inline. The same
// program gives the same bytes. program.layout is ignored.
Result<SourceRef> write(Program program);

}  // namespace diptych::pte
