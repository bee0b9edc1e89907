// config.json: whatever it says, models that are accepted can be laid out.
#include <cstdlib>

#include "base/json.h"
#include "contract/signature.h"
#include "llama/families.h"
#include "llama/rope.h"
#include "llama/static_model.h"
#include "llama/weights.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto json = parse_json(as_text(bytes));
  if (!json) return 0;
  const auto model = llama::describe_hugging_face(*json);
  if (!model) return 0;
  for (const auto& tensor : llama::expected_tensors(model->params, model->layout)) {
    if (!packed_size({DType::F64, tensor.shape})) std::abort();
  }
  (void)contract::signature(llama::static_model(model->params, 96, DType::F16),
                            contract::method_of(contract::Role::Prefill, 32));
  for (const llama::RopeParams& rope : model->params.ropes) {
    if (model->params.head_dim < 4096) (void)llama::rope_frequencies(rope, model->params.head_dim);
  }
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string_view text :
       {R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"num_hidden_layers":2,
            "num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":96,"vocab_size":99,
            "rms_norm_eps":1e-05,"tie_word_embeddings":true,"hidden_act":"silu","head_dim":null,
            "rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,
            "high_freq_factor":4.0,"original_max_position_embeddings":8192}})",
        R"({"model_type":"qwen3","hidden_size":64,"num_hidden_layers":1,"num_attention_heads":4,
            "num_key_value_heads":2,"intermediate_size":96,"vocab_size":99,"use_sliding_window":true,
            "sliding_window":32,"layer_types":["full_attention"],
            "rope_parameters":{"rope_theta":1000000.0,"rope_type":"linear","factor":2}})"}) {
    const Bytes bytes = as_bytes(text);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
