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

// An adapter for a model whose weights are in Meta's layout, whatever they were read from; the
// adapter's own tensors have Hugging Face's names. `family` may be null, for a Llama.
//
// Errors, before anything is read but headers, with all that is wrong in one: adapters of another
// kind than LoRA, or that say more than its mathematics (DoRA, biases, modules saved whole,
// embeddings, base weights changed when training began); matrices for what the model does not have
// or the configuration leaves out, of shapes or ranks that do not fit, without their other half.
Result<Adapter> read_adapter(const Json& config,
                             std::span<const std::pair<std::string, WeightRef>> tensors,
                             const Params& params, const Family* family);

// How many linears it adds to.
size_t count_linears(const Adapter& adapter);

// Adds an adapter to the weights that it is for. Errors: those of add_low_rank().
Status merge_adapter(const Adapter& adapter, LlamaWeights& weights);

}  // namespace diptych::llama
