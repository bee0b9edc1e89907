// Builds a function one operation at a time, with types inferred and checked at once.
//
// The Builder keeps the first error instead of returning one from each call, because code that
// builds graphs works on validated parameters. After an error, calls do nothing and return a
// placeholder, and finish() returns the error. The placeholder is a scalar, so code that reads the
// shape of a value it got from here checks ok() first.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mil/ir.h"

namespace diptych::mil {

class Builder {
 public:
  explicit Builder(std::unique_ptr<Function> function);

  Function& function() { return *function_; }
  bool ok() const { return error_.has_value(); }

  Value* input(std::string_view name, TensorType type);
  Value* constant(std::string_view name, WeightRef weight);
  // Small constants, named after their first use ("reduce_mean_axes_0").
  Value* ints(std::vector<int64_t> values);   // int32[n]
  Value* int_scalar(int64_t value);           // int32
  Value* bools(std::vector<int64_t> values);  // bool[n]
  Value* bool_scalar(bool value);
  Value* string(std::string text);
  Value* float_scalar(DType dtype, double value);

  // Appends an operation with one result. `name` is the name of the result; empty derives one
  // from the type.
  Value* op(std::string type, std::vector<Operand> operands, std::string_view name = {});
  // Appends an operation with `count` results, named `name`, "name_1", …. After an error it returns
  // `count` placeholders.
  std::vector<Value*> multi_op(std::string type, std::vector<Operand> operands, size_t count,
                               std::string_view name = {});

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
  Value* expand_dims(Value* x, std::vector<int64_t> axes);
  Value* linear(Value* x, Value* weight, Value* bias);  // bias may be null
  Value* matmul(Value* x, Value* y, bool transpose_x, bool transpose_y);
  Value* softmax(Value* x, int64_t axis);
  Value* silu(Value* x);
  Value* gelu_tanh(Value* x);  // the approximation by a tanh
  Value* reduce_mean(Value* x, std::vector<int64_t> axes, bool keep_dims);
  Value* reduce_max(Value* x, std::vector<int64_t> axes, bool keep_dims);
  Value* unary(std::string type, Value* x);  // abs, sqrt, square, tanh
  Value* rsqrt(Value* x, double epsilon);    // epsilon is an fp32 constant, as upstream writes it
  Value* gather(Value* x, Value* indices, int64_t axis);
  Value* greater_equal(Value* x, Value* y);
  Value* select(Value* cond, Value* a, Value* b);
  // An empty stride or end_mask is left out (1 and false everywhere).
  Value* slice_by_index(Value* x, std::vector<int64_t> begin, std::vector<int64_t> end,
                        std::vector<int64_t> stride, std::vector<int64_t> end_mask);
  // Marks the end of a partition: everything after it uses the results in place of `values`.
  std::vector<Value*> graph_break(std::vector<Value*> values);

  // Sets the outputs, verifies, and hands over the function, or the first error.
  Result<std::unique_ptr<Function>> finish(std::vector<Value*> outputs);

 private:
  Value* small_constant(std::string_view name, WeightRef weight);
  void name_constants(const std::vector<Operand>& operands, std::string_view result);

  std::unique_ptr<Function> function_;
  Value placeholder_;
  std::vector<Value*> unnamed_;  // small constants that no operation has used yet
  Status error_;
};

}  // namespace diptych::mil
