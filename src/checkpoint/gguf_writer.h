// Writes GGUF files, version 3, as a stream: weights are read when their turn comes. Layout:
// gguf_format.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/progress.h"
#include "base/stream.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// The kinds of metadata values that models need.
using GgufValue = std::variant<uint32_t, float, bool, std::string>;
using GgufEntry = std::pair<std::string, GgufValue>;

// Keys and names must differ; element types are fp32, fp16 and bf16. `progress` counts bytes of
// tensors.
Status write_gguf(Sink& sink, std::span<const GgufEntry> metadata,
                  std::span<const NamedWeight> tensors, Progress& progress);

}  // namespace diptych::checkpoint
