// What an export starts from: a model of any form, as parameters and tensors.
#pragma once

#include <string>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "exporter/options.h"
#include "llama/families.h"
#include "llama/weights.h"

namespace diptych::exporter {

struct Model {
  const llama::Family* family = nullptr;  // null for Meta's form, which names none
  llama::Params params;
  llama::LlamaWeights weights;
  size_t tensors = 0;              // in the files
  card::ModelCard card;            // empty from model_from()
  std::vector<std::string> notes;  // what the user should know, a line each
};

// Opens what `path` names (checkpoint::open()) and reads its headers. `params` is the path of a
// params.json for checkpoints in Meta's form; when it is empty, the one beside the checkpoint is
// taken. Of the options count those that say which of the files beside the checkpoint go into the
// model's card, and which adapters it has (exporter/adapter.h).
Result<Model> open_model(const std::string& path, const std::string& params,
                         const Options& options = {});

// The same for an open checkpoint, which must have its configuration.
Result<Model> model_from(const checkpoint::Checkpoint& checkpoint);

}  // namespace diptych::exporter
