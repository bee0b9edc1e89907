// Feeds arbitrary bytes to the readers of a Core ML delegate's payload, reference or blob, resolves
// and reads what they accept, and renames a method in it.

#include "../test/coreml/sample.h"
#include "coreml/delegate.h"
#include "coreml/rename_method.h"
#include "seeds.h"

using namespace diptych;
using namespace diptych::coreml;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes payload(reinterpret_cast<const std::byte*>(data), size);
  if (is_reference(payload)) {
    if (const auto reference = parse_reference(payload)) (void)format_reference(*reference);
    return 0;
  }
  if (const auto renamed = rename_method(payload, nullptr, "forward", "decode")) {
    (void)read_delegate(*read_all(*renamed->blob), nullptr);
  }
  const auto delegate = read_delegate(payload, nullptr);
  if (!delegate) return 0;
  const Reference prefill{"key", "prefill"};
  (void)resolve_function(*delegate, "forward", nullptr);
  (void)resolve_function(*delegate, "prefill", &prefill);
  (void)format_metadata(delegate->metadata);
  DigestCache digests;
  for (const auto& function : delegate->model.program.functions) {
    for (const mil::Value* constant : function->constants()) {
      if (constant->weight) (void)constant->weight->digest(digests);
    }
  }
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  const Bytes reference =
      as_bytes(R"(CMJR{"version": 1, "key": "coreml_x", "functionName": "forward"})");
  std::vector<std::vector<std::byte>> seeds = {{reference.begin(), reference.end()}};
  for (const auto& functions : std::vector<std::map<std::string, int64_t>>{
           {{"forward", 1}}, {{"forward", 1}, {"prefill", 4}}}) {
    DigestCache digests;
    const auto program = coreml::testing::sample_program(functions);
    seeds.push_back(*read_all(*write_delegate(*program, "root", digests)->blob));
  }
  return seeds;
}
