// Makes seeded random Llama checkpoints of any shape, as fast as they can be written: for tests and
// benchmarks that need a model's size but not its knowledge.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "tensor/type.h"

namespace diptych::llama {
struct Family;
}

namespace diptych::tools {

// What a Llama's tensors depend on, and the few other parameters that its params.json states.
struct SynthShape {
  int64_t dim = 0, layers = 0, heads = 0, kv_heads = 0;
  int64_t hidden = 0, vocab = 512, head_dim = 0;
  bool qk_norm = false, qk_norm_before_rope = false, qkv_bias = false;
  bool tied = true;  // output.weight is the embedding, stored once
  double norm_eps = 1e-5, rope_theta = 10000;
  int64_t rope_scale_factor = 0;          // of Llama 3's scaled RoPE; 0: not scaled
  int64_t window = 0;                     // of attention; 0: none
  int64_t full_layers = 0;                // the first layers, which have none nevertheless
  const llama::Family* family = nullptr;  // whose mathematics it is; null: what the members say
};

// A named shape (260k, 110m, 1b, 3b, 8b: stories260K, stories110M, Llama 3.2 1B and 3B, Llama 3.1
// 8B) or a list "dim=64,layers=2,heads=4" of the members above. dim, layers and heads are needed;
// kv_heads defaults to heads, head_dim to dim/heads, hidden to Llama's rule (2/3 of 4 dim, rounded
// up to 256). What cannot be a model is InvalidArgument.
Result<SynthShape> synth_shape(std::string_view text);

// The tensors under Meta's names (q/k/v biases under the names that upstream's exporter loads),
// generated when they are read, with the threads of `pool`, which must outlive them; so they must
// not be read from inside a body that `pool` runs. Linears are
// about N(0, 1/in), norms about N(1, 0.1²). An element depends on seed, tensor and index alone, so
// the bytes are the same for any number of threads. `dtype`: fp32, fp16 or bf16.
Result<std::vector<checkpoint::NamedWeight>> synth_tensors(const SynthShape& shape, DType dtype,
                                                           uint64_t seed, ThreadPool& pool);

// The shape as upstream's params.json has it.
Json synth_params(const SynthShape& shape);

// What is written: Meta's model.pth and params.json; Hugging Face's config.json with
// model.safetensors (or shards and their index); model.gguf.
enum class SynthForm : uint8_t { Meta, HuggingFace, Gguf };

struct SynthOptions {
  std::string shape;      // for synth_shape()
  std::string directory;  // made when it does not exist
  DType dtype = DType::BF16;
  uint64_t seed = 0;
  SynthForm form = SynthForm::Meta;
  std::string family = "llama";  // llama::Family::name
  int64_t shards = 1;            // of Hugging Face's form
  bool force = false;            // write into a directory that holds a model
};

struct SynthReport {
  std::string checkpoint, params;  // paths; `params` is empty for GGUF, which has it inside
  uint64_t parameters = 0;         // a tied output counts once
  uint64_t bytes = 0;              // of tensors
};

// Writes a model into a directory; its files appear only when all are complete. One seed and shape
// give the same model in every form. A directory with files of a model in it is refused, unless
// forced; then those of the same names are replaced.
Result<SynthReport> synth(const SynthOptions& options, ThreadPool& pool, Progress& progress);

// What params.json, or config.json, of such a model says; GGUF has neither, which is an error.
Result<Json> synth_description(const SynthOptions& options);

}  // namespace diptych::tools
