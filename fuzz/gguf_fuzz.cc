// GGUF files: metadata, tokenizer, tensors of all types, and the model that they describe.
#include "checkpoint/gguf_format.h"
#include "checkpoint/gguf_reader.h"
#include "checkpoint/gguf_writer.h"
#include "llama/families.h"
#include "llama/weights.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto checkpoint = checkpoint::read_gguf(bytes, nullptr);
  if (!checkpoint) return 0;
  for (const auto& [name, weight] : checkpoint->tensors) {
    if (weight->elements() < 1 << 16) (void)read_floats(*weight);
  }
  const auto model = llama::describe_gguf(*checkpoint->config, checkpoint->tensors);
  if (model && model->params.n_layers < 64) {
    (void)llama::collect(model->params, checkpoint->tensors, model->layout);
  }
  return 0;
}

namespace {

// A file of one tensor of each type, whatever the bytes of its elements.
std::vector<std::byte> all_types() {
  std::string head(checkpoint::kGgufMagic), data;
  const auto put = [](std::string& to, auto value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const auto put_text = [&](std::string_view text) {
    put(head, static_cast<uint64_t>(text.size()));
    head += text;
  };
  uint64_t count = 0;
  for (const checkpoint::GgufType& type : checkpoint::kGgufTypes) count += type.read ? 1 : 0;
  put(head, uint32_t{2});
  put(head, count);
  put(head, uint64_t{2});
  put_text("general.architecture");
  put(head, checkpoint::GgufKind::Text);
  put_text("qwen3");
  put_text("tokenizer.ggml.tokens");
  put(head, checkpoint::GgufKind::Array);
  put(head, checkpoint::GgufKind::Text);
  put(head, uint64_t{2});
  put_text("<s>");
  put_text("a");
  for (const checkpoint::GgufType& type : checkpoint::kGgufTypes) {
    if (!type.read) continue;
    put_text(type.name);
    put(head, uint32_t{2});
    put(head, uint64_t{type.block});
    put(head, uint64_t{2});
    put(head, type.id);
    put(head, static_cast<uint64_t>(data.size()));
    for (uint32_t i = 0; i < 2 * type.bytes; ++i) data += static_cast<char>(i * 37);
    data.resize(align_up(data.size(), checkpoint::kGgufAlignment));
  }
  head.resize(align_up(head.size(), checkpoint::kGgufAlignment));
  const std::string file = head + data;
  const Bytes bytes = as_bytes(file);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

std::vector<std::vector<std::byte>> fuzz_seeds() {
  const std::vector<checkpoint::GgufEntry> metadata = {
      {"general.architecture", std::string("llama")},
      {"llama.block_count", uint32_t{1}},
      {"llama.embedding_length", uint32_t{8}},
      {"llama.feed_forward_length", uint32_t{8}},
      {"llama.attention.head_count", uint32_t{2}},
      {"llama.attention.layer_norm_rms_epsilon", 1e-5f},
      {"tokenizer.ggml.add_bos_token", true}};
  const std::vector<checkpoint::NamedWeight> tensors = {
      {"token_embd.weight", random_weight({DType::BF16, {16, 8}}, 1)},
      {"rope_freqs.weight", random_weight({DType::F32, {2}}, 2)}};
  MemorySink file;
  Progress silent;
  (void)checkpoint::write_gguf(file, metadata, tensors, silent);
  return {file.data, all_types()};
}
