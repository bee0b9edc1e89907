#include "text/tokenizer.h"

#include "base/file.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tiktoken_tokenizer.h"

namespace diptych::text {

namespace {

// The first line of a rank file: base64, one space, digits.
bool looks_like_tiktoken(std::string_view file) {
  const std::string_view line = file.substr(0, file.find('\n'));
  constexpr std::string_view kBase64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  const size_t space = line.find_first_not_of(kBase64);
  return space != 0 && space != line.npos && line[space] == ' ' && space + 1 < line.size() &&
         line[space + 1] >= '0' && line[space + 1] <= '9';
}

// Field 1 (pieces) of the message, length-delimited, comes first in every model.
bool looks_like_sentencepiece(std::string_view file) { return file[0] == '\x0A'; }

bool looks_like_json(std::string_view file) {
  const size_t first = file.find_first_not_of(" \t\r\n");
  return first != file.npos && file[first] == '{';
}

}  // namespace

Status Tokenizer::check_size(std::string_view text) {
  if (text.size() <= kMaxTextBytes) return {};
  return invalid_argument("a text of {} bytes to encode, at most {} are possible", text.size(),
                          kMaxTextBytes);
}

Result<std::unique_ptr<Tokenizer>> read_tokenizer(Bytes file) {
  const std::string_view content = as_text(file);
  if (content.empty()) return invalid_data("the tokenizer file is empty");
  if (looks_like_sentencepiece(content)) return read_sentencepiece(file);
  if (looks_like_tiktoken(content)) return read_tiktoken(content);
  if (looks_like_json(content)) {
    return unsupported(
        "this is JSON, perhaps a tokenizer.json of Hugging Face: expected a SentencePiece model or "
        "a tiktoken rank file; use the tokenizer.model of the original checkpoint");
  }
  return invalid_data(
      "not a tokenizer: expected a SentencePiece model (first byte 0x0a) or a tiktoken rank file "
      "(lines of base64 and rank), found first byte {:#04x}",
      static_cast<uint8_t>(content[0]));
}

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  return within(path, read_tokenizer(file->bytes()));
}

}  // namespace diptych::text
