// How long a text may be that still fits a context, told before it becomes tokens, which takes a
// hundred times its memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "text/tokenizer.h"

namespace diptych::chat {

// In bytes; never less than 64 KiB, for normalisers that shorten what they are given.
size_t longest_text(const text::Tokenizer& tokenizer, int64_t tokens);

}  // namespace diptych::chat
