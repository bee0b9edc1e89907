// Decodes the protobuf of a Core ML model file. Private to src/coreml.
#pragma once

#include "base/error.h"
#include "base/thread_pool.h"
#include "coreml/proto.h"

namespace diptych::coreml {

// Returns the messages of `mlmodel`, which must outlive them. As protobuf requires, unknown fields
// are skipped, a message in several parts is their union, and the last of a oneof wins. Fails only
// when the bytes are no protobuf message: it does not judge what the messages say. Functions are
// read side by side on the threads of `pool`, if one is given.
Result<proto::Model> read_proto(Bytes mlmodel, ThreadPool* pool);

}  // namespace diptych::coreml
