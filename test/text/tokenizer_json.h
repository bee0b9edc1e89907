// Small tokenizer.json files built in memory, for tests and as seeds for fuzzing.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/byte_level.h"

namespace diptych::text::testing {

inline Json added_token(int id, const std::string& content, bool special = true) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

inline Json bos_template(const std::string& name, int id) {
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({{{"SpecialToken", {{"id", name}, {"type_id", 0}}}},
                                  {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})},
          {"pair", Json::array()},
          {"special_tokens",
           {{name, {{"id", name}, {"ids", Json::array({id})}, {"tokens", Json::array({name})}}}}}};
}

// Byte-level: the 256 bytes in order, then what `merges` ("a b") make; <bos> and <eos> after them.
inline Json byte_level_json(const std::vector<std::string>& merges) {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    std::string token;
    append_byte_level(std::string(1, static_cast<char>(byte)), token);
    vocab[token] = byte;
  }
  for (std::string merge : merges) {
    merge.erase(merge.find(' '), 1);
    vocab[merge] = vocab.size();
  }
  const int next = static_cast<int>(vocab.size());
  return {{"version", "1.0"},
          {"added_tokens", Json::array({added_token(next, "<bos>"), added_token(next + 1, "<eos>"),
                                        added_token(next + 2, "<tool>", false)})},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             Json::array(
                 {{{"type", "Split"},
                   {"pattern", {{"Regex", R"(\p{N}| ?\p{L}+|\s+(?!\S)|\s+|[^\s\p{L}\p{N}]+)"}}},
                   {"behavior", "Isolated"},
                   {"invert", false}},
                  {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}})}}},
          {"post_processor", bos_template("<bos>", next)},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

// Llama 2's form: spaces are U+2581, one goes before every text, bytes stand in for unknown
// characters. Tokens: <unk> <s> </s>, 256 bytes, then `pieces`.
inline Json fallback_json(const std::vector<std::string>& pieces, const Json& merges) {
  Json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = 3 + byte;
  for (const std::string& piece : pieces) vocab[piece] = vocab.size();
  return {
      {"version", "1.0"},
      {"added_tokens",
       Json::array({added_token(0, "<unk>"), added_token(1, "<s>"), added_token(2, "</s>")})},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         Json::array({{{"type", "Prepend"}, {"prepend", "▁"}},
                      {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}})}}},
      {"pre_tokenizer", nullptr},
      {"post_processor", bos_template("<s>", 1)},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         Json::array({{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                      {{"type", "ByteFallback"}},
                      {{"type", "Fuse"}},
                      {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}})}}},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"vocab", vocab},
        {"merges", merges}}}};
}

}  // namespace diptych::text::testing
