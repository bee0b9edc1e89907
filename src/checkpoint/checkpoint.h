// A checkpoint: named tensors, whatever file format they come from.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tensor/weight.h"

namespace diptych::checkpoint {

using NamedWeight = std::pair<std::string, WeightRef>;

// The tensors of one checkpoint in the file's order, names as the file has them. The weights lie in
// the mapped file, which they keep alive; a tensor stored once under two names is one weight.
// Immutable once read.
struct Checkpoint {
  std::vector<NamedWeight> tensors;
  std::string source;  // the path, for messages

  // The weight of that name, or null. Linear in the number of tensors.
  WeightRef find(std::string_view name) const;
};

// Maps a checkpoint file and reads its directory; the format is told from the content. Formats that
// are recognised but not read are refused by name.
Result<Checkpoint> open(const std::string& path);

// The same over bytes that `owner` keeps alive; `source` names them in messages.
Result<Checkpoint> open(Bytes bytes, std::shared_ptr<const void> owner, std::string source);

}  // namespace diptych::checkpoint
