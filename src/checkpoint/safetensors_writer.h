// Writes safetensors files as a stream: weights are read when their turn comes. Layout in
// safetensors_reader.h and docs/formats/safetensors.md.
#pragma once

#include <span>

#include "base/error.h"
#include "base/progress.h"
#include "base/stream.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// Names must differ; element types are fp32, fp16 and bf16. The tensors begin at a multiple of 8
// and lie in the given order. `progress` counts bytes of tensors.
Status write_safetensors(Sink& sink, std::span<const NamedWeight> tensors, Progress& progress);

// The index of tensors spread over files (name of the tensor, name of its file).
Json shard_index(std::span<const std::pair<std::string, std::string>> files, uint64_t total_bytes);

}  // namespace diptych::checkpoint
