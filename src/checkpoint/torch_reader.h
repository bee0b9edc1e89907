// Reads state dicts saved by torch.save (.pth): a zip archive of a pickle and raw storages.
// Layout: docs/formats/torch.md.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// True for what starts like a zip archive.
bool is_torch_archive(Bytes bytes);

// The tensors of a state dict; when the top-level dict has a key "model" that holds a dict, of that
// one, as upstream's loader does. Contiguous tensors are slices of `bytes`, others gather elements
// when read. Two names of the same view of one storage give the same weight. TorchScript archives,
// big-endian and compressed ones are Unsupported. `owner` keeps `bytes` alive.
Result<Checkpoint> read_torch(Bytes bytes, std::shared_ptr<const void> owner);

}  // namespace diptych::checkpoint
