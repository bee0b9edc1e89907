// The post-processor of a tokenizer.json: the special tokens around a text.
#pragma once

#include <vector>

#include "base/json_fwd.h"
#include "text/tokenizer.h"

namespace diptych::text::hf {

struct PostProcessor {
  std::vector<TokenId> before,
      after;  // ids that the file gives, not checked against the vocabulary

  // `json` may be null. What is unknown is refused by name.
  static Result<PostProcessor> read(const Json& json);
};

}  // namespace diptych::text::hf
