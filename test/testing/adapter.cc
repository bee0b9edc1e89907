#include "testing/adapter.h"

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/safetensors_writer.h"
#include "testing/shared_data.h"

namespace diptych::testing {

std::string write_adapter(const std::string& name, const AdapterShape& shape, uint64_t seed) {
  std::string path = temporary_directory() + "/" + name;
  EXPECT_TRUE(make_directories(path));
  std::vector<checkpoint::NamedWeight> tensors;
  const auto add = [&](size_t layer, std::string_view module, int64_t out, int64_t in) {
    const std::string stem = fmt::format("base_model.model.model.layers.{}.{}", layer, module);
    tensors.emplace_back(stem + ".lora_A.weight",
                         random_weight({DType::F32, {shape.rank, in}}, ++seed));
    tensors.emplace_back(stem + ".lora_B.weight",
                         random_weight({DType::F32, {out, shape.rank}}, ++seed));
  };
  for (size_t layer = 0; layer < shape.layers; ++layer) {
    add(layer, "self_attn.q_proj", shape.dim, shape.dim);
    add(layer, "self_attn.k_proj", shape.kv_dim, shape.dim);
    add(layer, "mlp.up_proj", shape.hidden, shape.dim);
    add(layer, "mlp.down_proj", shape.dim, shape.hidden);
  }
  MemorySink sink;
  Progress silent;
  EXPECT_TRUE(checkpoint::write_safetensors(sink, tensors, silent));
  EXPECT_TRUE(write_file(path + "/adapter_model.safetensors", sink.data));
  const Json config = {{"peft_type", "LORA"}, {"r", shape.rank}, {"lora_alpha", shape.alpha}};
  EXPECT_TRUE(write_file(path + "/adapter_config.json", as_bytes(dump_json(config))));
  return path;
}

}  // namespace diptych::testing
