// Feeds arbitrary bytes to the weight file's reader and reads every weight it finds.

#include "coreml/weight_file.h"
#include "seeds.h"

using namespace diptych;
using namespace diptych::coreml;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = WeightFile::open({reinterpret_cast<const std::byte*>(data), size}, nullptr);
  if (!file) return 0;
  (void)file->entries();
  DigestCache digests;
  for (uint64_t offset = 0; offset <= size; offset += 32) {
    for (const TensorType& type : {TensorType{DType::Int4, {3, 5}}, TensorType{DType::F16, {20}},
                                   TensorType{DType::UInt3, {7}}}) {
      if (const auto weight = file->weight(offset, type)) (void)(*weight)->digest(digests);
    }
  }
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  WeightFileBuilder builder;
  (void)builder.add(random_weight({DType::Int4, {3, 5}}, 1));
  (void)builder.add(random_weight({DType::F16, {20}}, 2));
  (void)builder.add(random_weight({DType::UInt3, {7}}, 3));
  return {*read_all(*builder.source())};
}
