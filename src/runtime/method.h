// One loaded method: bound inputs and outputs, arena for intermediate tensors, delegate calls.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "engine/numerics.h"
#include "engine/run_observer.h"
#include "tensor/type.h"

namespace diptych::engine {
class Executable;
}

namespace diptych::runtime {

class Program;

// Mutable; one thread at a time. Keeps its Program alive.
class Method {
 public:
  ~Method();

  const std::string& name() const;
  // Declared types in the method's order, as the .pte says (int64 stays int64).
  const std::vector<TensorType>& inputs() const;
  const std::vector<TensorType>& outputs() const;

  // Binds the caller's memory; it must stay valid for the executions that follow and have exactly
  // the tensor's size. Any alignment.
  Status bind_input(size_t index, Bytes data);
  Status bind_output(size_t index, MutableBytes data);

  // Whether the executions that follow compute an output; at first they compute all. Delegate calls
  // that serve no wanted output are left out; what is then in an unwanted output's memory is not
  // defined. Allocates nothing.
  Status want_output(size_t index, bool wanted);

  // Of the executions that follow only the results of the first `live` tokens are wanted, on which
  // what follows them, padding, has no bearing: no mask shows it to them. Results of the others are
  // not defined. `live` is at least 1; as many as there are, or more: no limit, as at first.
  // InvalidArgument when the method was loaded without its token input. Allocates nothing.
  Status limit_tokens(int64_t live);

  // What the executions that follow run, in their order: the functions that wanted outputs need.
  // Valid as long as the method is.
  std::vector<const engine::Executable*> functions() const;

  // Runs the delegate calls in order. All inputs and outputs must be bound. int64 inputs that do
  // not fit Core ML's int32 are an error.
  Status execute();

  // From now on told of every step of the delegate calls; null: nobody. Outlives the executions.
  void observe(engine::RunObserver* observer);

  // fp16 roundings that overflowed to infinity so far (numerics `typed` only).
  engine::Overflows overflows() const;

 private:
  friend class Program;
  struct Impl;
  explicit Method(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych::runtime
