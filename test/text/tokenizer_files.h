// Small tokenizer files built in memory, for tests and as seeds for fuzzing.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace diptych::text::testing {

inline std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

// A rank file of the 256 bytes in order, then `merges`.
inline std::string rank_file(const std::vector<std::string>& merges) {
  std::string file;
  int rank = 0;
  const auto add = [&](std::string_view token) {
    file += base64(token) + " " + std::to_string(rank++) + "\n";
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)));
  for (const std::string& merge : merges) add(merge);
  return file;
}

// Fields of protobuf messages.
inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
inline std::string number_field(uint32_t id, uint64_t value) {
  return varint(uint64_t{id} << 3) + varint(value);
}
inline std::string bytes_field(uint32_t id, std::string_view value) {
  return varint(uint64_t{id} << 3 | 2) + varint(value.size()) + std::string(value);
}
inline std::string float_field(uint32_t id, float value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return varint(uint64_t{id} << 3 | 5) + bytes;
}

// One entry of a model; `type` as in sentencepiece_model.proto (1 normal … 6 byte).
inline std::string piece(std::string_view name, uint64_t type, float score) {
  return bytes_field(1, bytes_field(1, name) + float_field(2, score) + number_field(3, type));
}

// A normaliser table that turns "A" into "b": a trie of 512 units and its one string.
inline std::string charsmap() {
  std::vector<uint32_t> trie(512, 0);
  constexpr uint32_t kRootChildren = 256, kLeaf = 2;
  constexpr uint32_t kNode = kRootChildren ^ 'A';
  trie[0] = kRootChildren << 10;
  trie[kNode] = (kNode ^ kLeaf) << 10 | 1u << 8 | 'A';
  trie[kLeaf] = 1u << 31 | 0;
  std::string map(4 + 4 * trie.size(), '\0');
  const auto size = static_cast<uint32_t>(4 * trie.size());
  std::memcpy(map.data(), &size, 4);
  std::memcpy(map.data() + 4, trie.data(), size);
  return map + std::string("b\0", 2);
}

// A SentencePiece model with byte fallback and a handful of words. `extra` are more pieces.
inline std::string sentencepiece_file(uint64_t model_type, std::string_view map = {},
                                      std::string_view extra = {}) {
  std::string file = piece("<unk>", 2, 0) + piece("<s>", 3, 0) + piece("</s>", 3, 0);
  for (int byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    file += piece(std::string("<0x") + kDigits[static_cast<size_t>(byte) >> 4] +
                      kDigits[static_cast<size_t>(byte) & 15] + ">",
                  6, 0);
  }
  float score = 0;
  for (const char* name : {"ab",
                           "\xE2\x96\x81"
                           "a",
                           "\xE2\x96\x81"
                           "ab",
                           "abc", "b", "a", "c", "\xE2\x96\x81", "\xC3\xA9"}) {
    file += piece(name, 1, score--);
  }
  file += extra;
  file += bytes_field(2, number_field(3, model_type) + number_field(35, 1));
  file += bytes_field(3, bytes_field(1, "identity") + bytes_field(2, map) + number_field(3, 1) +
                             number_field(4, 0) + number_field(5, 1));
  return file;
}

}  // namespace diptych::text::testing
