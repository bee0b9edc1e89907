// Layers of several kinds: which see only a window, which are not rotated, which are rotated by a
// table of their own. By the family's rule or by what a configuration lists.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "llama/families.h"
#include "llama/param_reader.h"

namespace diptych::llama {

// Sets layers and RoPE tables of a family with layers of several kinds (Family::has_layer_kinds())
// from a Hugging Face config.json.
void read_layer_kinds(const Json& config, const Family& family, ParamReader& reader,
                      Params* params);

// Sets the layers of such a family from a GGUF's metadata, whose keys begin with `prefix`. The
// model's one RoPE table has been read.
void read_gguf_layer_kinds(const Json& metadata, const std::string& prefix, const Family& family,
                           ParamReader& reader, Params* params);

}  // namespace diptych::llama
