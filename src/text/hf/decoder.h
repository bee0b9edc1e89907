// The decoder of a tokenizer.json: what a token contributes to a text.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json_fwd.h"
#include "text/pieces.h"

namespace diptych::text::hf {

// Immutable once read. Only decoders that treat every token by itself can be used, since text is
// shown as it is generated; the one exception is a space dropped at the very start.
class Decoder {
 public:
  // What is unknown, or looks at more than one token, is refused by name.
  static Result<Decoder> read(const Json& json);

  // The bytes of the token with this text.
  Result<std::string> piece(std::string_view token) const;

  bool drops_leading_space() const { return drops_leading_space_; }

 private:
  struct ByteLevel {};
  struct ByteFallback {};  // "<0x41>" is the byte 41
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  struct Strip {
    std::string content;  // one character
    size_t start;         // how many at most
  };
  using Step = std::variant<ByteLevel, ByteFallback, Replace, Strip>;

  Status add(const Json& json, std::string_view type);
  Status add_strip(const Json& json);

  std::vector<Step> steps_;
  bool fused_ = false;  // while reading: what follows sees the whole text
  bool drops_leading_space_ = false;
};

}  // namespace diptych::text::hf
