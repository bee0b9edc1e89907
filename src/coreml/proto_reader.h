// Decodes the protobuf of a Core ML model file. Private to src/coreml.
#pragma once

#include "base/error.h"
#include "base/thread_pool.h"
#include "coreml/proto.h"

namespace diptych::coreml {

// The messages of `mlmodel`, which must outlive them. As protobuf asks, fields that are not known
// are skipped, a message that comes in several parts is their union, and the last of a oneof wins.
// Fails when the bytes are no protobuf message; what the messages say is for others to judge.
// Functions are read side by side on the threads of `pool`, if one is given.
Result<proto::Model> read_proto(Bytes mlmodel, ThreadPool* pool);

}  // namespace diptych::coreml
