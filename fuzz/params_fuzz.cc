// params.json: whatever it says, parameters that are accepted describe a model that can be laid
// out.
#include <cstdlib>

#include "base/json.h"
#include "contract/signature.h"
#include "llama/static_model.h"
#include "llama/weights.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto json = parse_json(as_text(bytes));
  if (!json) return 0;
  const auto params = llama::params_from_meta(*json);
  if (!params) return 0;
  for (const llama::ExpectedTensor& tensor : llama::expected_tensors(*params)) {
    if (!packed_size({DType::F64, tensor.shape})) std::abort();
  }
  (void)contract::signature(llama::static_model(*params, 96, DType::F16),
                            contract::method_of(contract::Role::Prefill, 32));
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string_view text :
       {R"({"dim":64,"n_layers":2,"n_heads":4,"n_kv_heads":2,"vocab_size":96,"multiple_of":32,
            "ffn_dim_multiplier":1.5,"norm_eps":1e-05,"rope_theta":500000.0,"max_seq_len":64})",
        R"({"head_dim":8,"hidden_dim":48,"use_scaled_rope":true,"rope_scale_factor":32,"moe":false,
            "high_freq_factor":4,"use_qk_norm":true,"attention_qkv_bias":true,"act_fn":"silu"})"}) {
    const Bytes bytes = as_bytes(text);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
