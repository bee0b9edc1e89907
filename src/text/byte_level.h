// The byte-level alphabet: 256 printable characters that stand for bytes, so that any bytes are a
// readable text (GPT-2's, in most tokenizer.json files and in GGUF).
//
// Printable Latin-1 bytes stand for themselves; the others, in order, are U+0100, U+0101, … (a
// space is U+0120, "Ġ").
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace diptych::text {

// Appends the characters of `bytes`.
void append_byte_level(std::string_view bytes, std::string& out);

// The bytes of `text`, or none when a character is not of the alphabet.
std::optional<std::string> from_byte_level(std::string_view text);

}  // namespace diptych::text
