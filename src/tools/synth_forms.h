// The forms in which synth writes one model: who names its tensors how, and what describes it.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "checkpoint/gguf_writer.h"
#include "llama/families.h"
#include "llama/inventory.h"
#include "tools/synth.h"

namespace diptych::tools {

// Sets what a family has beyond a Llama's, and refuses a shape that its configuration in this form
// cannot say. Meta's form can say all of a shape, but not what some families compute.
Status fit_family(const llama::Family& family, SynthForm form, SynthShape* shape);

// The shape as far as it tells of tensors, of RoPE and of multipliers.
llama::Params params_of(const SynthShape& shape);

// What synth_tensors() calls a tensor: biases as upstream's exporter loads them.
std::string meta_name(const llama::TensorRow& row, size_t layer);

// The tensors of synth_tensors() as Hugging Face's or GGUF's, as views: other names, fused where
// the family's are, RoPE's channels in halves where they are. GGUF files hold vectors in fp32 and
// the factors of Llama 3's RoPE; a tied output is left out. Hugging Face's norms are less 1 where
// the family's are.
std::vector<checkpoint::NamedWeight> tensors_as(SynthForm form, const llama::Family& family,
                                                const SynthShape& shape,
                                                const std::vector<checkpoint::NamedWeight>& meta);

// config.json.
Json hugging_face_config(const llama::Family& family, const SynthShape& shape, DType dtype);
// A GGUF file's metadata, without a vocabulary.
std::vector<checkpoint::GgufEntry> gguf_metadata(const llama::Family& family,
                                                 const SynthShape& shape);

}  // namespace diptych::tools
