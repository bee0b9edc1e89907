// Reads safetensors files: a JSON header that says where each tensor lies, then the tensors.
//
//   0    u64 N, the length of the header
//   8    N bytes of JSON, beginning with '{', perhaps filled up with spaces
//   8+N  the tensors, row-major and little-endian, one after the other without gaps
//
// Source: the safetensors format description; page: docs/formats/safetensors.md.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// True for what starts like a safetensors file.
bool is_safetensors(Bytes bytes);

// The tensors of one file in the order in which they lie there, as slices of `bytes`, which `owner`
// keeps alive. As the reference implementation: ranges must cover the data exactly, without overlap
// and without gaps. Element types other than F32, F16 and BF16 are Unsupported, all in one error.
Result<Checkpoint> read_safetensors(Bytes bytes, std::shared_ptr<const void> owner);

// What an index (model.safetensors.index.json) says: which file holds which tensor.
struct ShardIndex {
  std::vector<std::string> files;                       // names in the directory, in order
  std::vector<std::pair<std::string, size_t>> tensors;  // name, place in `files`
};
// File names with a directory in them are refused.
Result<ShardIndex> parse_shard_index(std::string_view json);

}  // namespace diptych::checkpoint
