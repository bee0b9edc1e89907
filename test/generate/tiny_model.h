// A language model that fits on a page, written in MIL's text form, whose logits are small whole
// numbers that a test computes by itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "contract/model.h"
#include "runtime/program.h"

namespace diptych::generate {

inline constexpr int64_t kTinyVocab = 13;
inline constexpr int64_t kTinyContext = 24;

// The logits [kTinyVocab] after the last of `tokens`: of each layer a sum over all of them that are
// in its window (which takes the keys and the mask) and a sum of their squares (the values), and
// the position (the RoPE rows), each times a small factor that depends on the entry and the layer.
using TinyWindows = std::vector<std::optional<int64_t>>;  // by layer
std::vector<float> tiny_logits(const std::vector<int64_t>& tokens,
                               const TinyWindows& windows = {{}});

// A program with these methods. Layers without a window have caches of `cache_len` tokens, others
// of their window's length. The method named `broken` has two partitions and others one, all in one
// package.
Result<std::shared_ptr<runtime::Program>> tiny_program(const std::vector<contract::Method>& methods,
                                                       int64_t cache_len,
                                                       const TinyWindows& windows = {{}},
                                                       std::string_view broken = {});

}  // namespace diptych::generate
