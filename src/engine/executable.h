// The engine: compiles one mil::Function to a list of steps and runs it. docs/engine.md explains
// the parts.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/joint_memory.h"
#include "engine/numerics.h"
#include "engine/run_observer.h"
#include "engine/step_work.h"
#include "engine/token_axes.h"
#include "mil/ir.h"
#include "tensor/type.h"

namespace diptych::engine {

struct Frame;
class LookedUp;
struct Plan;
struct Step;

// An input or output: its name in the function and its packed form.
struct Port {
  std::string name;
  TensorType type;
  TokenAxis token_axis{};
};

// One step of a run, for profiles: what it does and on what.
struct StepInfo {
  std::string_view op;    // "cpu.linear", "quantize for int4"
  std::string_view name;  // of the result or the value concerned
  StepWork work;
};

struct ExecutableOptions {
  Numerics numerics = Numerics::Precise;
  // Pass fp16 inputs and outputs as fp32, so that values which travel from function to function
  // (hidden states, caches, logits) are not rounded on the way. Only with Numerics::Precise.
  bool wide_ports = false;
  // Give outputs that are means of integers as fp32, with their fractions: for callers that convert
  // to the type they want, which may be a float.
  bool wide_means = false;
  // Rewrite groups of operations into the engine's own (engine/fuse/fuse.h) first. Never with
  // Numerics::Typed, which rounds every operation's result.
  bool fuse = true;
  // The most bytes that intermediate values and constants made at compile time may take. A function
  // that needs more is refused.
  uint64_t memory_limit = uint64_t{16} << 30;
  // Where functions that share weights find palettes that were looked up for the others; null: each
  // looks up its own.
  std::shared_ptr<LookedUp> looked_up;
  // Compute linear and gather from the stored bytes of quantised weights. False dequantises those
  // weights as a whole by an operation of their own, which tests compare with.
  bool weights_by_rows = true;
  // For each input, the axis that has one slice for each token (Execution::limit_tokens). Inputs
  // beyond the end of the list have none.
  std::vector<TokenAxis> token_axes;
  // The function has passed mil::verify(), as those that are read from files have.
  bool verified = false;
};

// A compiled function. Immutable: share it between threads. Keeps the weights it uses alive, not
// the function.
class Executable {
 public:
  // Errors: those of the verifier; Unsupported with one item for each operation or type that the
  // engine cannot run (operation, result, reason), or when the memory limit is exceeded;
  // InvalidArgument when an input lacks its token axis.
  static Result<std::shared_ptr<const Executable>> compile(const mil::Function& function,
                                                           const ExecutableOptions& options = {});
  explicit Executable(std::unique_ptr<const Plan> plan);
  ~Executable();

  const std::string& name() const;
  // In the function's order.
  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  // The number of tokens that a run evaluates; 0 when no input has a token axis.
  int64_t tokens() const;
  size_t step_count() const;
  StepInfo step(size_t index) const;
  // Memory of an Execution's intermediate values, in bytes.
  uint64_t arena_size() const;
  // Memory of compressed weights that no kernel takes as they are stored, or only slowly, in bytes:
  // they were unpacked when the function was compiled. Palettes that other functions use too are
  // counted for each.
  uint64_t unpacked_bytes() const;

 private:
  friend class Execution;
  static Result<std::shared_ptr<const Executable>> compile_as_it_is(
      const mil::Function& function, const ExecutableOptions& options);
  std::unique_ptr<const Plan> plan_;
};

// One caller's use of an Executable: its bound buffers and intermediate values.
class Execution {
 public:
  // Allocates the memory of the intermediate values. Errors: out of memory.
  static Result<std::unique_ptr<Execution>> create(std::shared_ptr<const Executable> executable);
  ~Execution();

  // Binds packed elements of exactly the declared type, which may lie at any address and must stay
  // valid until the last run. Inputs are used in place where possible. Outputs are written at the
  // end of a run, after all inputs were read, so an output may lie over an input. Errors:
  // InvalidArgument for an index, type or null pointer that does not fit.
  Status bind_input(size_t index, const void* data, const TensorType& type);
  Status bind_output(size_t index, void* data, const TensorType& type);

  // Says that later runs need the results of the first `live` tokens only; the tokens after them
  // are padding, which the masks must hide. Most operations with a row for each token then compute
  // the first `live` alone (padding.h). Results of the first tokens are the same bits as without
  // the limit; outputs keep what they held in the slices of padding, if they have them as an axis.
  // `live` is at least 1; the number of tokens or more lifts the limit.
  void limit_tokens(int64_t live) { live_tokens_ = live; }

  // Runs the function once. On success all outputs are written. Errors: an output, or an input that
  // the function uses, is not bound; the data ask for what does not exist (a gather index out of
  // range). Outputs are then unspecified. `observer` may be null.
  Status run(ThreadPool& pool, RunObserver* observer = nullptr);

  // Runs executions of one executable together: each step for all of them, so that every weight is
  // read once for all. Results are the same bits as by run(). `memory` may be used for other runs
  // before and after. Errors: those of run(); InvalidArgument for executions of several
  // executables. If one fails, the outputs of all are unspecified.
  static Status run_together(std::span<Execution* const> executions, ThreadPool& pool,
                             JointMemory& memory, RunObserver* observer = nullptr);

  // All overflows since creation.
  const Overflows& overflows() const { return overflows_; }

  const Executable& executable() const { return *executable_; }

 private:
  explicit Execution(std::shared_ptr<const Executable> executable);
  // Checks that all is bound and that there is scratch memory for so many threads.
  Status prepare(int threads);
  Frame frame(ThreadPool& pool, std::atomic<uint64_t>& overflows);
  Status write_outputs(ThreadPool& pool, std::atomic<uint64_t>& overflows);
  // Adds `count`, and begins it anew.
  void note_overflows(std::atomic<uint64_t>& count, const Step& step);

  std::shared_ptr<const Executable> executable_;
  struct Memory;
  std::unique_ptr<Memory> memory_;
  Overflows overflows_;
  int64_t live_tokens_ = kAllRows;
};

}  // namespace diptych::engine
