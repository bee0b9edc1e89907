// From a delegate of a program to the bytes that hold its Core ML package.
#pragma once

#include <optional>
#include <string>

#include "coreml/delegate.h"
#include "pte/program.h"

namespace diptych::runtime {

// A Core ML delegate's payload after its reference, if it is one, was followed.
struct CoremlPayload {
  std::optional<coreml::Reference> reference;  // none: the payload is the blob itself
  Bytes blob;                                  // a file system with a package (memory_fs.h)
};

// Returns the payload of a Core ML delegate of `program`, which must have been read from a file.
// Errors: NotFound when the delegate refers to named data that the program lacks.
Result<CoremlPayload> coreml_payload(const pte::Program& program, const pte::Delegate& delegate);

// Fails for a program without a Core ML delegate. The error names the backends that it is for.
Status check_has_coreml(const pte::Program& program);

// "method forward, partition 2", the context of errors.
std::string partition_place(const pte::Method& method, size_t index);

}  // namespace diptych::runtime
