// A language model that fits on a page, written in MIL's text form, whose logits are small whole
// numbers that a test computes by itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "contract/model.h"
#include "runtime/program.h"

namespace diptych::generate {

inline constexpr int64_t kTinyVocab = 13;
inline constexpr int64_t kTinyContext = 24;

// The logits [kTinyVocab] after the last of `tokens`: a sum over all of them (which takes the keys
// and the mask), a sum of their squares (the values) and the position (the RoPE rows), each times
// a small factor that depends on the entry.
std::vector<float> tiny_logits(const std::vector<int64_t>& tokens);

// A program with these methods, whose caches hold `cache_len` tokens.
Result<std::shared_ptr<runtime::Program>> tiny_program(const std::vector<contract::Method>& methods,
                                                       int64_t cache_len);

}  // namespace diptych::generate
