// LoRA adapters of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors, whose
// matrices A [r, in] and B [out, r] add (alpha / r) * B * A to linears of the base model.
// Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021; PEFT,
// src/peft/tuners/lora (config.py, layer.py). Page: docs/formats/families.md.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/json_fwd.h"
#include "llama/families.h"
#include "llama/inventory.h"

namespace diptych::llama {

// Adds an adapter to a model's weights, which are in Meta's layout whatever they were read from;
// the adapter has Hugging Face's names. `family` may be null, for a Llama. On success returns how
// many matrices have changed.
//
// Errors, before anything is read but headers, with all that is wrong in one: adapters of another
// kind than LoRA, or that say more than its mathematics (DoRA, biases, modules saved whole,
// embeddings, base weights changed when training began); matrices for what the model does not have,
// of shapes or ranks that do not fit, without their other half.
Result<size_t> merge_adapter(const Json& config,
                             std::span<const std::pair<std::string, WeightRef>> tensors,
                             const Params& params, const Family* family, LlamaWeights& weights);

}  // namespace diptych::llama
