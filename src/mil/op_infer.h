// Type inference for each operation. Private to op_table.cc. infer() has checked the operands
// before it calls these functions: required parameters are bound, single ones to one value, and
// tensors have at most kMaxRank positive dimensions.
#pragma once

#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::mil {

using Types = std::vector<TensorType>;

// The classes of element types that operations accept.
using DTypeTest = bool (*)(DType);
bool is_compute_float(DType dtype);  // fp16, fp32
bool is_number(DType dtype);         // fp16, fp32, int32
bool is_storable(DType dtype);       // the above, bool and the integers of 8 and 16 bits

// The type of a bound operand; an error when its dtype fails the test.
Result<TensorType> typed_operand(const Op& op, std::string_view param, DTypeTest accepts);
// An error unless both operands have the same dtype.
Status expect_same_dtype(std::string_view a, const TensorType& a_type, std::string_view b,
                         const TensorType& b_type);

// op_infer_elementwise.cc
Result<Types> infer_float_unary(const Op& op);   // x float
Result<Types> infer_number_unary(const Op& op);  // x float or int32
Result<Types> infer_gelu(const Op& op);
Result<Types> infer_rsqrt(const Op& op);
Result<Types> infer_float_binary(const Op& op);   // x, y float, broadcast
Result<Types> infer_number_binary(const Op& op);  // x, y float or int32, broadcast
Result<Types> infer_comparison(const Op& op);     // the same, giving bool
Result<Types> infer_select(const Op& op);
Result<Types> infer_cast(const Op& op);
Result<Types> infer_softmax(const Op& op);
Result<Types> infer_graph_break(const Op& op);

// op_infer_contract.cc
Result<Types> infer_constexpr_blockwise_shift_scale(const Op& op);
Result<Types> infer_constexpr_lut_to_dense(const Op& op);
Result<Types> infer_linear(const Op& op);
Result<Types> infer_matmul(const Op& op);
Result<Types> infer_reduce(const Op& op);

// op_infer_layout.cc
Result<Types> infer_concat(const Op& op);
Result<Types> infer_expand_dims(const Op& op);
Result<Types> infer_gather(const Op& op);
Result<Types> infer_reshape(const Op& op);
Result<Types> infer_slice_by_index(const Op& op);
Result<Types> infer_split(const Op& op);
Result<Types> infer_squeeze(const Op& op);
Result<Types> infer_stack(const Op& op);
Result<Types> infer_transpose(const Op& op);

// op_infer_fused.cc
Result<Types> infer_cpu_attention(const Op& op);
Result<Types> infer_cpu_linear(const Op& op);
Result<Types> infer_cpu_rms_norm(const Op& op);
Result<Types> infer_cpu_rope(const Op& op);
Result<Types> infer_cpu_gated(const Op& op);

}  // namespace diptych::mil
