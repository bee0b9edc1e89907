// Saved conversations: what is accepted reads back as itself.
#include "base/bytes.h"
#include "chat/transcript.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto transcript = chat::parse_transcript({reinterpret_cast<const char*>(data), size});
  if (!transcript) return 0;
  const auto again = chat::parse_transcript(chat::format_transcript(*transcript));
  if (!again || *again != *transcript) __builtin_trap();
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const chat::Transcript& transcript :
       {chat::Transcript{}, chat::Transcript{"Be brief.", {{"Hello", "Hi"}, {"a\n", "\"b\""}}}}) {
    const std::string file = chat::format_transcript(transcript);
    const Bytes bytes = as_bytes(file);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
