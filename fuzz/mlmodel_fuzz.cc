// Feeds arbitrary bytes to the model reader, beside a fixed weight file; what it accepts and the
// writer takes must be readable again.

#include <cstdlib>

#include "../test/coreml/sample.h"
#include "coreml/model.h"
#include "seeds.h"

using namespace diptych;
using namespace diptych::coreml;

namespace {

SerializedModel sample(const std::map<std::string, int64_t>& functions) {
  return *write_model(*coreml::testing::sample_program(functions));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto weight_bytes = *read_all(*sample({{"forward", 1}}).weights.source());
  WeightFile weights = *WeightFile::open(weight_bytes, nullptr);
  const auto model = read_model({reinterpret_cast<const std::byte*>(data), size}, weights);
  if (!model) return 0;
  const auto written = write_model(model->program);
  if (!written) return 0;  // for example an input without axes
  const auto file = read_all(*written->weights.source());
  WeightFile rewritten = *WeightFile::open(*file, nullptr);
  if (!read_model(as_bytes(written->mlmodel), rewritten)) std::abort();
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const auto& model : {sample({{"forward", 1}}), sample({{"forward", 1}, {"prefill", 4}})}) {
    const Bytes bytes = as_bytes(model.mlmodel);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
