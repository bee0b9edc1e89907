// One loaded method: bound inputs and outputs, arena for intermediate tensors, delegate calls.
#pragma once

#include <memory>
#include <span>
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

  // Binds the caller's memory, which may lie at any address and must stay valid for later
  // executions. Errors: InvalidArgument when there is no such input or output, or when the size is
  // not exactly the tensor's.
  Status bind_input(size_t index, Bytes data);
  Status bind_output(size_t index, MutableBytes data);

  // Says whether later executions compute output `index`; at first all outputs are wanted. Delegate
  // calls that serve no wanted output are skipped, and the contents of unwanted outputs are
  // unspecified. Errors: InvalidArgument when there is no such output. Allocates nothing.
  Status want_output(size_t index, bool wanted);

  // Says that later executions need results of the first `live` tokens only. The tokens after them
  // are padding: the masks must hide them from the first ones, and their results are unspecified.
  // The number of the method's tokens or more lifts the limit; at first there is none. Errors:
  // InvalidArgument when `live` is below 1 or the method was loaded without a TokenInput. Allocates
  // nothing.
  Status limit_tokens(int64_t live);

  // The functions that the wanted outputs need, in the order in which executions run them. The
  // pointers stay valid as long as the method does.
  std::vector<const engine::Executable*> functions() const;

  // Runs the needed delegate calls in order. On success the wanted outputs are written. Errors:
  // InvalidArgument when an input or output is not bound; what a call fails with, such as an int64
  // input that does not fit Core ML's int32.
  Status execute();

  // Executes several instances of one method of one Program together: every weight is read once for
  // all, and the outputs are the same bits as by execute(). What is computed serves the outputs
  // that the first one wants. Steps are reported to the first one's observer. Errors: those of
  // execute(); InvalidArgument for instances of several methods. If one fails, the outputs of all
  // are unspecified.
  static Status execute_together(std::span<Method* const> methods);

  // Reports every step of later executions to `observer`, which must outlive them; null reports to
  // nobody.
  void observe(engine::RunObserver* observer);

  // Finite values that have become infinite so far because they were rounded to fp16.
  engine::Overflows overflows() const;

 private:
  friend class Program;
  struct Impl;
  explicit Method(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych::runtime
