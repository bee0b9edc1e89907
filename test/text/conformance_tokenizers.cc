// Encodes many texts with one tokenizer, for test/conformance/text_tokenizers.py: a process each
// would spend its time on opening the file.
//
// conformance_tokenizers FILE|DIR <requests >answers, one line of JSON each:
//   {"text": "…", "specials": false} or {"hex": "…"}  ->  {"ids": […], "text": decoded}
#include <fmt/format.h>

#include <iostream>

#include "base/json.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace diptych::text {
namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

Result<Json> answer(const Tokenizer& tokenizer, const std::string& line) {
  const Json request = TRY(parse_json(line));
  const bool is_text = request.contains("text");
  const std::string text =
      is_text ? TRY(json_string(request, "text")) : from_hex(TRY(json_string(request, "hex")));
  const bool specials = request.value("specials", false);
  auto ids = TRY(tokenizer.encode(text, true, specials ? Specials::AsTokens : Specials::AsText));
  ids.insert(ids.end(), tokenizer.suffix().begin(), tokenizer.suffix().end());
  return Json{{"ids", ids}, {"text", decode(tokenizer, ids)}};
}

int run(const char* path) {
  const auto tokenizer = open_tokenizer(path);
  if (!tokenizer) {
    fmt::print(stderr, "{}\n", tokenizer.error().to_string());
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto json = answer(**tokenizer, line);
    std::cout << dump_json(json ? *json : Json{{"error", json.error().to_string()}}) << '\n';
  }
  return 0;
}

}  // namespace
}  // namespace diptych::text

int main(int argc, char** argv) { return argc == 2 ? diptych::text::run(argv[1]) : 2; }
