// From a delegate of a program to the bytes that hold its Core ML package.
#pragma once

#include <optional>
#include <string>

#include "coreml/delegate.h"
#include "pte/program.h"

namespace diptych::runtime {

// A Core ML delegate's payload, a reference in it already followed.
struct CoremlPayload {
  std::optional<coreml::Reference> reference;  // none: the payload is the blob itself
  Bytes blob;                                  // a file system with a package (memory_fs.h)
};

// `delegate` belongs to `program`, which was read from a file, and is for Core ML. NotFound when it
// refers to named data that the program lacks.
Result<CoremlPayload> coreml_payload(const pte::Program& program, const pte::Delegate& delegate);

// Refuses a program without a Core ML delegate, naming the backends it is for.
Status check_has_coreml(const pte::Program& program);

// "method forward, partition 2": the context of errors.
std::string partition_place(const pte::Method& method, size_t index);

}  // namespace diptych::runtime
