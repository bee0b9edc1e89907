// safetensors files and the index of a model's shards.
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/safetensors_writer.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)checkpoint::parse_shard_index(as_text(bytes));
  const auto checkpoint = checkpoint::read_safetensors(bytes, nullptr);
  if (!checkpoint) return 0;
  for (const auto& [name, weight] : checkpoint->tensors) (void)read_floats(*weight);
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  const std::vector<checkpoint::NamedWeight> tensors = {
      {"a.weight", random_weight({DType::BF16, {4, 6}}, 1)},
      {"b", random_weight({DType::F32, {3}}, 2)},
      {"empty", random_weight({DType::F16, {0, 5}}, 3)}};
  MemorySink file;
  Progress silent;
  (void)checkpoint::write_safetensors(file, tensors, silent);
  const Bytes index = as_bytes(
      R"({"metadata":{"total_size":60},"weight_map":{"a.weight":"1.safetensors","b":"2.safetensors"}})");
  return {file.data, {index.begin(), index.end()}};
}
