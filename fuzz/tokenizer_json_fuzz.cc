// tokenizer.json files, opened and used.
#include <cstddef>
#include <cstdint>

#include "../test/text/tokenizer_json.h"
#include "base/json.h"
#include "seeds.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace files = diptych::text::testing;
using diptych::Json;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tokenizer =
      diptych::text::read_tokenizer({reinterpret_cast<const std::byte*>(data), size});
  if (!tokenizer) return 0;
  for (const char* text :
       {"abc  A\xC3\xA9 e\xCC\x81 \xE2\x82\xAC 12 <eos> <tool>x", "\xFF\x80 ab<s>"}) {
    const auto ids = (*tokenizer)->encode(text, true, diptych::text::Specials::AsTokens);
    if (ids) diptych::text::decode(**tokenizer, *ids);
  }
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  Json chained = files::byte_level_json({"a b"});
  chained["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       Json::array({{{"type", "NFKC"}},
                    {{"type", "Lowercase"}},
                    {{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}},
                    {{"type", "Replace"}, {"pattern", {{"Regex", "[ab]+"}}}, {"content", "ab"}}})}};
  chained["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       Json::array({{{"type", "Digits"}, {"individual_digits", true}},
                    {{"type", "Punctuation"}},
                    {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}}})}};
  Json spaces = files::fallback_json({"▁", "a", "▁a"}, Json::array({"▁ a"}));
  spaces["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}};
  spaces["added_tokens"][1]["lstrip"] = true;
  spaces["added_tokens"][2]["single_word"] = true;
  std::vector<std::vector<std::byte>> seeds;
  for (const Json& json : {files::byte_level_json({"a b", "ab c"}), chained, spaces}) {
    const std::string text = diptych::dump_json(json);
    const auto bytes = diptych::as_bytes(text);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
