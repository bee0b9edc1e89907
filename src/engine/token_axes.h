// Token axes: which axis of each value of a function has one slice for each token.
//
// The caller names the token axes of the inputs (ExecutableOptions::token_axes). The kernel table
// (kernels.h) has a rule for each operation that says where its result has that axis. An operation
// that mixes slices or picks some of them gives a result without one. Sizes prove nothing: another
// axis may happen to be as long as there are tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::engine {

using TokenAxis = std::optional<size_t>;  // nothing: no axis is of tokens

class TokenAxes {
 public:
  TokenAxes() = default;
  // Finds the token axis of every value. `of_inputs` has that of each input; inputs beyond its end
  // have none. Errors: InvalidArgument when an input lacks its axis, or when two inputs have
  // different numbers of tokens.
  static Result<TokenAxes> find(const mil::Function& function,
                                const std::vector<TokenAxis>& of_inputs);

  TokenAxis of(const mil::Value& value) const;
  // The number of tokens; 0 when no input has a token axis.
  int64_t tokens() const { return tokens_; }

 private:
  void mark(const mil::Value& value, TokenAxis axis);

  int64_t tokens_ = 0;
  std::unordered_map<const mil::Value*, size_t> axes_;
};

// A rule: returns the token axis of result `result` of an operation, given those of its operands.
// The operation has passed the verifier. An axis whose size is not the number of tokens is dropped
// afterwards, so rules need not check it.
using TokenAxisRule = TokenAxis (*)(const mil::Op& op, size_t result, const TokenAxes& axes);

TokenAxis no_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// For operations whose elements are computed from those in the same place of all operands,
// broadcast.
TokenAxis elementwise_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// For operations whose result i has the elements of `values` i.
TokenAxis passed_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// For operations that compute rows of x along the parameter `axis` (default: the last axis): any
// other axis is kept.
TokenAxis row_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// For the operations that they are named after.
TokenAxis attention_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis concat_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis gather_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis matmul_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis reduce_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis reshape_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis slice_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis stack_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
TokenAxis transpose_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);

}  // namespace diptych::engine
