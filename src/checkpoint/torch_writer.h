// Writes state dicts in the format of torch.save, as a stream: weights are read when their turn
// comes. torch.load(weights_only=True, mmap=True) accepts the result; layout in
// docs/formats/torch.md.
#pragma once

#include <span>

#include "base/error.h"
#include "base/progress.h"
#include "base/stream.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// Names must differ; element types are those that torch has a storage class for. A weight that
// occurs under several names is stored once and shared. The bytes depend on nothing but the
// arguments. `progress` counts bytes of tensors.
Status write_torch(Sink& sink, std::span<const NamedWeight> tensors, Progress& progress);

}  // namespace diptych::checkpoint
