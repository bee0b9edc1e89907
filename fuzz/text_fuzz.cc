// Any text through a byte-pair tokenizer and back: the same bytes, streamed as valid UTF-8.
#include <cstddef>
#include <cstdint>

#include "../test/text/tokenizer_files.h"
#include "seeds.h"
#include "text/stream_decoder.h"
#include "text/utf8.h"

namespace text = diptych::text;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto kTokenizer =
      text::read_tokenizer(diptych::as_bytes(text::testing::rank_file(
                               {"ab", " a", "\xE2\x82", "\xAC\xE2", "\xF0\x9F", "abc", "\n\n"})))
          .value();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string bytes;
  text::StreamDecoder decoder(*kTokenizer);
  const auto ids = kTokenizer->encode(input, false, text::Specials::AsText);
  if (!ids) __builtin_trap();
  for (const text::TokenId id : *ids) {
    bytes += kTokenizer->piece(id);
    const std::string part = decoder.add(id);
    if (text::valid_utf8_prefix(part) != part.size()) __builtin_trap();
  }
  decoder.finish();
  if (bytes != input) __builtin_trap();
  if (!kTokenizer->encode(input, true, text::Specials::AsTokens)) __builtin_trap();
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string_view seed :
       {"It's 12345 words,  and\r\n\n a \xE2\x82\xAC or \xF0\x9F\x98\x80 abcabc",
        "<|begin_of_text|>hi<|eot_id|><|reserved_special_token_17|>", "\xC0\xFF\x80\xED\xA0\x80"}) {
    const auto bytes = diptych::as_bytes(seed);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
