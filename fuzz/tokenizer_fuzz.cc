// Tokenizer files: SentencePiece models and tiktoken-style ranks, opened and used.
#include <cstddef>
#include <cstdint>

#include "../test/text/tokenizer_files.h"
#include "seeds.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace files = diptych::text::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tokenizer =
      diptych::text::read_tokenizer({reinterpret_cast<const std::byte*>(data), size});
  if (!tokenizer) return 0;
  for (const char* text : {"abc  A\xC3\xA9 \xE2\x82\xAC 12", "\xFF\x80 ab<|eot_id|>"}) {
    const auto ids = (*tokenizer)->encode(text, true, diptych::text::Specials::AsTokens);
    if (ids) diptych::text::decode(**tokenizer, *ids);
  }
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string& file :
       {files::sentencepiece_file(1), files::sentencepiece_file(2),
        files::sentencepiece_file(1, files::charsmap()),
        files::sentencepiece_file(2, files::charsmap(), files::piece("<user>", 4, 0)),
        files::rank_file({"ab", "abc", "\xC3\xA9"})}) {
    const auto bytes = diptych::as_bytes(file);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
