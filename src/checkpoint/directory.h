// Finds the model in a directory, and what belongs to a file beside it.
#pragma once

#include <string>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// Whether the path is a directory.
bool is_directory(const std::string& path);

// Opens the model that a directory holds. What is there decides: config.json with safetensors, else
// params.json with torch files, else a single GGUF file. One error lists missing shards, or what
// was looked for.
Result<Checkpoint> open_directory(const std::string& directory, Config config);

// If `path` is named consolidated.00.pth, the parts of a model: itself and what follows beside it.
// Otherwise `path` alone.
std::vector<std::string> parts_of(const std::string& path);

// Reads the configuration beside a file of the given format (params.json, config.json), if it is
// there. A file that is there and cannot be read is an error.
Status read_config_beside(Checkpoint* checkpoint, const std::string& directory);

}  // namespace diptych::checkpoint
