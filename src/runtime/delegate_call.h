// A call of a Core ML function by an ExecuTorch program: arguments in the program's order and
// types, which may be wider than Core ML's (convert.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/executable.h"
#include "runtime/compiled_model.h"

namespace diptych::runtime {

// Mutable; one thread at a time.
class DelegateCall {
 public:
  // Allocates memory for the function's intermediate values.
  static Result<DelegateCall> create(const CompiledFunction& function);

  // The function's inputs and outputs in the order of the call's arguments.
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  const engine::Port& input(size_t index) const;
  const engine::Port& output(size_t index) const;

  // Binds the caller's packed elements of `type`, which may lie at any address and must stay valid
  // for later runs. Elements of the function's own type are used in place; others are converted at
  // each run. Errors: InvalidArgument when the types cannot be converted or `data` does not have
  // the type's size.
  Status bind_input(size_t index, const TensorType& type, Bytes data);
  Status bind_output(size_t index, const TensorType& type, MutableBytes data);

  // See Execution::limit_tokens().
  void limit_tokens(int64_t live) { execution_->limit_tokens(live); }

  // Runs the function. On success the outputs are written. Errors: an argument that is not bound, a
  // value that does not fit the type it is converted to.
  Status run(ThreadPool& pool, engine::RunObserver* observer = nullptr);
  // The same for calls of one function, to the bit, by Execution::run_together().
  static Status run_together(std::span<DelegateCall* const> calls, ThreadPool& pool,
                             engine::JointMemory& memory, engine::RunObserver* observer = nullptr);

  const engine::Executable& executable() const { return execution_->executable(); }
  const engine::Overflows& overflows() const { return execution_->overflows(); }

 private:
  struct Argument {
    size_t port = 0;                   // among the function's inputs or outputs
    DType dtype{};                     // the caller's
    const std::byte* data = nullptr;   // the caller's; of outputs, see `out`
    std::byte* out = nullptr;          // the caller's, of outputs
    uint64_t size = 0;                 // of the caller's elements, in bytes
    std::vector<std::byte> converted;  // the function's elements, when the types differ
  };

  Status convert_inputs();
  Status convert_outputs();

  explicit DelegateCall(std::unique_ptr<engine::Execution> execution)
      : execution_(std::move(execution)) {}

  std::unique_ptr<engine::Execution> execution_;
  std::vector<Argument> inputs_, outputs_;
};

}  // namespace diptych::runtime
