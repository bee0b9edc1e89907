// Which axis of each value has one slice for each token, found by following the data of a function.
//
// A function is told which axes of its inputs are of tokens (ExecutableOptions::token_axes); what
// its operations make of them is a rule of the kernel table (kernels.h). Where an operation mixes
// slices or picks some, nothing after it is of tokens. Sizes prove nothing: a head or a layer may
// have as many rows as there are tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::engine {

using TokenAxis = std::optional<size_t>;  // nothing: none of them

class TokenAxes {
 public:
  TokenAxes() = default;
  // Follows the axes `of_inputs`, by input; inputs beyond them have none. Errors: an input lacks
  // its axis, or its size is not that of the others.
  static Result<TokenAxes> find(const mil::Function& function,
                                const std::vector<TokenAxis>& of_inputs);

  TokenAxis of(const mil::Value& value) const;
  // How many tokens there are; 0 when no input has an axis for them.
  int64_t tokens() const { return tokens_; }

 private:
  void mark(const mil::Value& value, TokenAxis axis);

  int64_t tokens_ = 0;
  std::unordered_map<const mil::Value*, size_t> axes_;
};

// A rule: the token axis of an operation's result, from those of its operands. The operation has
// passed the verifier. An axis that is not of the tokens' size is not kept, whatever a rule says.
using TokenAxisRule = TokenAxis (*)(const mil::Op& op, size_t result, const TokenAxes& axes);

TokenAxis no_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// Each element comes from those in the same place of all operands, broadcast.
TokenAxis elementwise_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// Result i has the elements of value i.
TokenAxis passed_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// The rows along axis `axis`, or without one the last, of x are computed together.
TokenAxis row_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes);
// By operation.
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
