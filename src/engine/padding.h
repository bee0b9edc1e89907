// Which values must have numbers in the slices of tokens that Execution::limit_tokens() leaves out.
//
// Operations with a rule (kernels.h) compute the slices of the other tokens alone. Filling the rest
// would cost more than computing them, so that is done only where an operation without a rule reads
// it, or attention that multiplies hidden keys by 0.
#pragma once

#include <string_view>
#include <unordered_set>

#include "engine/step_work.h"
#include "engine/token_axes.h"
#include "mil/ir.h"

namespace diptych::engine {

class Padding {
 public:
  Padding() = default;
  static Padding find(const mil::Function& function, const TokenAxes& axes);

  // Whether whoever computes a value must fill the padding in it.
  bool matters(const mil::Value& value) const { return matters_.contains(&value); }

 private:
  std::unordered_set<const mil::Value*> matters_;
};

// The rows of x [..., columns], and whether they are those of tokens.
StepRows rows_of(const mil::Value& x, const TokenAxes& axes);

// A rule: whether an operation reads no padding of an operand, and fills that of its results where
// it matters. The step that is made of it goes by the same.
using PaddingRule = bool (*)(const mil::Op& op, std::string_view param, const TokenAxes& axes);

// For operations that compute rows of their result one by one.
bool skips_rows(const mil::Op& op, std::string_view param, const TokenAxes& axes);
// For the operations that they are named after.
bool attention_skips(const mil::Op& op, std::string_view param, const TokenAxes& axes);
bool rope_skips(const mil::Op& op, std::string_view param, const TokenAxes& axes);
bool transpose_skips(const mil::Op& op, std::string_view param, const TokenAxes& axes);

}  // namespace diptych::engine
