// Builds a function one operation at a time, with types inferred and checked at once.
//
// A graph builder is programmer's code on validated parameters, so the Builder keeps the first error
// instead of returning one per call: after an error further calls return a placeholder value and do
// nothing, and finish() reports it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "mil/ir.h"

namespace diptych::mil {

class Builder {
 public:
  explicit Builder(std::unique_ptr<Function> function);

  Function& function() { return *function_; }

  Value* input(std::string_view name, TensorType type);
  Value* constant(std::string_view name, WeightRef weight);
  // Small constants, named after their use.
  Value* ints(std::vector<int64_t> values);           // int32[n]
  Value* int_scalar(int64_t value);                   // int32
  Value* bools(std::vector<int64_t> values);          // bool[n]
  Value* bool_scalar(bool value);
  Value* string(std::string text);
  Value* float_scalar(DType dtype, double value);

  // Appends an operation with one result. `name` is the name of the result; empty derives one
  // from the type.
  Value* op(std::string type, std::vector<Operand> operands, std::string_view name = {});

  // The operations of exported Llamas.
  Value* add(Value* x, Value* y);
  Value* sub(Value* x, Value* y);
  Value* mul(Value* x, Value* y);
  Value* real_div(Value* x, Value* y);
  Value* cast(Value* x, DType dtype);
  Value* concat(std::vector<Value*> values, int64_t axis);
  Value* stack(std::vector<Value*> values, int64_t axis);
  Value* reshape(Value* x, Shape shape);
  Value* transpose(Value* x, std::vector<int64_t> perm);
  Value* linear(Value* x, Value* weight, Value* bias);
  Value* matmul(Value* x, Value* y, bool transpose_x, bool transpose_y);
  Value* softmax(Value* x, int64_t axis);
  Value* silu(Value* x);
  Value* reduce_mean(Value* x, std::vector<int64_t> axes, bool keep_dims);
  Value* reduce_max(Value* x, std::vector<int64_t> axes, bool keep_dims);
  Value* unary(std::string type, Value* x);  // abs, sqrt, square
  Value* rsqrt(Value* x, double epsilon);
  Value* gather(Value* x, Value* indices, int64_t axis);
  Value* greater_equal(Value* x, Value* y);
  Value* select(Value* cond, Value* a, Value* b);
  Value* slice_by_index(Value* x, std::vector<int64_t> begin, std::vector<int64_t> end,
                        std::vector<int64_t> stride, std::vector<int64_t> end_mask);

  // Sets the outputs and hands over the function, or the first error.
  Result<std::unique_ptr<Function>> finish(std::vector<Value*> outputs);

 private:
  std::unique_ptr<Function> function_;
  Value* placeholder_ = nullptr;
  Status error_;
};

}  // namespace diptych::mil
