#include "text/hf/decoder.h"

#include <charconv>

#include "base/json.h"
#include "text/byte_level.h"
#include "text/hf/component.h"

namespace diptych::text::hf {

namespace {

// The byte that a token "<0xNN>" stands for, or -1.
int fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return error == std::errc() && end == token.data() + 5 ? byte : -1;
}

}  // namespace

Status Decoder::add_strip(const Json& json) {
  std::string content = TRY(json_string(json, "content"));
  const int64_t start = TRY(json_int(json, "start"));
  const int64_t stop = TRY(json_int(json, "stop"));
  if (content.empty() || start < 0) return invalid_data("expected a character and a count");
  if (stop != 0) return unsupported("\"stop\" is {}; only 0 is supported", stop);
  if (!fused_) {
    steps_.push_back(Strip{std::move(content), static_cast<size_t>(start)});
    return {};
  }
  if (content != " " || start > 1) {
    return unsupported("after Fuse only one space at the start can be dropped");
  }
  drops_leading_space_ = start == 1;
  return {};
}

Status Decoder::add(const Json& json, std::string_view type) {
  if (type == "Fuse") {
    fused_ = true;
    return {};
  }
  if (type == "Strip") return add_strip(json);
  if (fused_) return unsupported("after Fuse only Strip is supported");
  if (type == "ByteLevel") {
    steps_.push_back(ByteLevel());
    fused_ = true;
    return {};
  }
  if (type == "ByteFallback") {
    steps_.push_back(ByteFallback());
    return {};
  }
  if (type == "Replace") {
    Pattern pattern = TRY(read_pattern(json));
    std::string content = TRY(json_string(json, "content"));
    steps_.push_back(Replace{std::move(pattern), std::move(content)});
    return {};
  }
  if (type == "Metaspace") {
    const std::string replacement = TRY(json_string(json, "replacement"));
    bool prefix = TRY(bool_or(json, "add_prefix_space", true));
    if (json.contains("prepend_scheme")) {
      prefix = TRY(json_string(json, "prepend_scheme")) != "never";
    }
    steps_.push_back(Replace{Pattern::literal(replacement), " "});
    drops_leading_space_ = prefix;
    return {};
  }
  return unknown_component("decoder", type,
                           "ByteLevel, ByteFallback, Replace, Strip, Fuse, Metaspace and Sequence");
}

Result<Decoder> Decoder::read(const Json& json) {
  Decoder decoder;
  if (json.is_null()) {
    return unsupported("there is no decoder, which puts a space between tokens; expected one");
  }
  TRY(for_each_component(json, "decoders", [&](const Json& component, std::string_view type) {
    return decoder.add(component, type);
  }));
  return decoder;
}

Result<std::string> Decoder::piece(std::string_view token) const {
  Work work(token.size());
  std::string text(token);
  for (const Step& step : steps_) {
    TRY(work.take(1 + text.size()));
    if (std::holds_alternative<ByteLevel>(step)) {
      if (auto bytes = from_byte_level(text)) text = std::move(*bytes);
    } else if (std::holds_alternative<ByteFallback>(step)) {
      if (const int byte = fallback_byte(text); byte >= 0)
        return std::string(1, static_cast<char>(byte));
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      text = TRY(replace_all(text, replace->pattern, replace->content, work));
    } else if (const auto* strip = std::get_if<Strip>(&step)) {
      std::string_view rest = text;
      for (size_t i = 0; i < strip->start && rest.starts_with(strip->content); ++i) {
        rest.remove_prefix(strip->content.size());
      }
      text.erase(0, text.size() - rest.size());
    }
  }
  return text;
}

}  // namespace diptych::text::hf
