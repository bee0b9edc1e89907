// A whole .pte: container, delegates, models, engine's compiler, model description.

#include "base/file.h"
#include "exporter/export.h"
#include "generate/session.h"
#include "runtime/method.h"
#include "runtime/program.h"
#include "seeds.h"

using namespace diptych;

namespace {

llama::Params tiny_params() {
  llama::Params params;
  params.n_heads = params.n_kv_heads = 2;
  params.dim = 8;
  params.head_dim = 4;
  params.hidden_dim = 8;
  params.vocab_size = 16;
  return params;
}

}  // namespace

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  const llama::Params params = tiny_params();
  std::vector<std::pair<std::string, WeightRef>> tensors;
  for (const auto& tensor : llama::expected_tensors(params)) {
    tensors.emplace_back(tensor.names.front(),
                         random_weight({DType::F32, tensor.shape}, tensors.size()));
  }
  Progress silent;
  for (const bool multifunction : {false, true}) {
    exporter::Options options;
    options.max_context_len = 8;
    options.input_len = 2;
    options.multifunction = multifunction;
    auto weights = llama::collect(params, tensors);
    auto planned = exporter::plan(params, std::move(weights.value()), options, silent);
    seeds.push_back(read_all(*planned.value().file).value());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  auto program =
      runtime::Program::from_bytes(bytes, nullptr, "input.pte", {engine::Numerics::Precise, 1});
  if (!program) return 0;
  (void)generate::describe(**program);
  for (const std::string& name : (*program)->method_names()) (void)(*program)->load_method(name);
  return 0;
}
