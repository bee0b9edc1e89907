// Reads GGUF files, versions 2 and 3: metadata, tokenizer and tensors. Layout: gguf_format.h.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// True for what starts like a GGUF file.
bool is_gguf(Bytes bytes);

// The tensors of one file: plain ones as slices of `bytes`, which `owner` keeps alive, quantised
// ones as fp32 that is computed when read. The metadata without the tokenizer is the checkpoint's
// configuration, a JSON object by the file's keys; long arrays (more than 1024 elements) and arrays
// in arrays are left out of it. Types that are not read, split and big-endian files are
// Unsupported.
Result<Checkpoint> read_gguf(Bytes bytes, std::shared_ptr<const void> owner);

}  // namespace diptych::checkpoint
