// Saved conversations: what is accepted reads back as itself.
#include "answer/transcript.h"
#include "base/bytes.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto transcript = answer::parse_transcript({reinterpret_cast<const char*>(data), size});
  if (!transcript) return 0;
  const auto again = answer::parse_transcript(answer::format_transcript(*transcript));
  if (!again || *again != *transcript) __builtin_trap();
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  using answer::Role;
  for (const answer::Transcript& transcript :
       {answer::Transcript{},
        answer::Transcript{{{Role::System, "Be brief."},
                            {Role::User, "Hello"},
                            {Role::Assistant, "Hi"},
                            {Role::User, "a\n"},
                            {Role::Assistant, "\"b\"", {{"1", "f", R"({"a":[1]})"}}},
                            {Role::Tool, "c", {}, "1", "f"},
                            {Role::Assistant, "d"}}}}) {
    const std::string file = answer::format_transcript(transcript);
    const Bytes bytes = as_bytes(file);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
