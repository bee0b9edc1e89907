// The .pth reader as a whole: zip directory, pickle, views of storages.
#include "base/stream.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/torch_writer.h"
#include "checkpoint/zip_format.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto checkpoint = checkpoint::open(bytes, nullptr, "fuzz");
  if (!checkpoint) return 0;
  for (const auto& [name, weight] : checkpoint->tensors) (void)read_floats(*weight);
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  const WeightRef matrix = random_weight({DType::BF16, {4, 6}}, 1);
  const std::vector<checkpoint::NamedWeight> tensors = {
      {"a", matrix}, {"b", random_weight({DType::F32, {3}}, 2)}, {"c", matrix}};
  MemorySink whole;
  Progress silent;
  (void)checkpoint::write_torch(whole, tensors, silent);
  // Without check sums, as torch writes on request, mutations get through to the pickle.
  std::vector<std::byte> unchecked = whole.data;
  for (size_t i = 0; i + checkpoint::kDirectoryRecordSize < unchecked.size(); ++i) {
    if (load<uint32_t>(&unchecked[i]) == checkpoint::kDirectorySignature) {
      store<uint32_t>(&unchecked[i + 16], 0);
    }
  }
  // The matrix as a transposed view: strides 6, 1 become 1, 4.
  std::vector<std::byte> transposed = unchecked;
  const size_t at = as_text(unchecked).find("K\x06K\x01t");
  transposed.at(at + 1) = std::byte{1};
  transposed.at(at + 3) = std::byte{4};
  return {whole.data, unchecked, transposed};
}
