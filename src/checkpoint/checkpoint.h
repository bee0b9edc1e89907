// A checkpoint: named tensors, whatever file format they come from.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json_fwd.h"
#include "checkpoint/gguf_tokenizer.h"
#include "tensor/weight.h"

namespace diptych::checkpoint {

using NamedWeight = std::pair<std::string, WeightRef>;

// Of a tensor in a torch or safetensors file; those of language models have two.
inline constexpr size_t kMaxTensorAxes = 8;

// What the tensors were stored as. Whose names they have follows from it: torch files are Meta's,
// safetensors Hugging Face's.
enum class Format : uint8_t { Torch, Safetensors, Gguf };

// The tensors of one checkpoint in the files' order, names as the files have them. The weights lie
// in mapped files, which they keep alive; a tensor stored once under two names is one weight.
// Immutable once read.
struct Checkpoint {
  Format format = Format::Torch;
  std::vector<NamedWeight> tensors;
  // What the checkpoint says of the model: the params.json (torch) or config.json (safetensors)
  // that lies beside it, or a GGUF file's metadata; null when there is none.
  std::shared_ptr<const Json> config;
  std::shared_ptr<const GgufTokenizer> tokenizer;  // of GGUF files with tokens
  std::string source, config_source;               // paths, for messages
  std::vector<std::string> notes;                  // what the user should know, a line each

  // The weight of that name, or null. Linear in the number of tensors.
  WeightRef find(std::string_view name) const;
};

// Whether a configuration in a file beside the tensors is wanted; if not, it is not even read.
enum class Config : uint8_t { Beside, Ignored };

// Opens a model and reads its headers; what it is, is told from the contents. `path` is
//   - a torch file (.pth), or consolidated.00.pth with further parts beside it,
//   - a safetensors file,
//   - a GGUF file,
//   - a directory with config.json and model.safetensors, or shards and their index,
//   - a directory with params.json and consolidated.NN.pth (or a single torch file),
//   - a directory with a single GGUF file.
// Formats that are recognised but not read are refused by name.
Result<Checkpoint> open(const std::string& path, Config config = Config::Beside);

// One file's bytes, which `owner` keeps alive; `source` names them in messages.
Result<Checkpoint> open(Bytes bytes, std::shared_ptr<const void> owner, std::string source);

// One file, and what lies beside it is not looked at.
Result<Checkpoint> open_file(const std::string& path);

}  // namespace diptych::checkpoint
