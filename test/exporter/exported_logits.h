// The logits that an export gives when the engine runs it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/numerics.h"
#include "exporter/export.h"

namespace diptych::testing {

// Of the file at `path` after each of the tokens, [tokens, vocabulary]; with the methods of an
// adapter where one is named. What goes wrong is a failure of the test, and gives none.
std::vector<float> logits_of_file(const std::string& path, const std::vector<int64_t>& tokens,
                                  engine::Numerics numerics, std::string_view adapter = {});

// The same of a model that is exported to `path` before.
std::vector<float> exported_logits(const llama::Params& params, const llama::LlamaWeights& weights,
                                   const exporter::Options& options, const std::string& path,
                                   const std::vector<int64_t>& tokens, engine::Numerics numerics);

}  // namespace diptych::testing
