// Runs a function and shows any of its values: what operations computed on the way.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/executable.h"

namespace diptych::compare {

// Packed elements for an input. Floats may be wider or narrower than the input's.
struct Feed {
  TensorType type;
  std::vector<std::byte> data;
};

struct EvaluatorOptions {
  engine::Numerics numerics = engine::Numerics::Precise;
  bool fuse = false;  // so that the values that are shown are those of the file's own operations
  // The input whose axis 1 counts tokens (engine/executable.h).
  std::optional<size_t> token_input;
};

// A function compiled to give the values that are asked for; what none of them needs is not
// computed. Mutable; one thread at a time.
class Evaluator {
 public:
  // `values` are results of operations of the function, each once; others are an error.
  static Result<Evaluator> create(const mil::Function& function,
                                  std::span<const mil::Value* const> values,
                                  const EvaluatorOptions& options);
  Evaluator(Evaluator&&) = default;
  Evaluator& operator=(Evaluator&&) = default;

  // `feeds` are of the function's inputs. Rows of tokens after the first `live` may hold anything
  // afterwards. On success value(i) has the elements of the value asked for in place i as floats.
  Status run(std::span<const Feed> feeds, int64_t live, ThreadPool& pool);
  const std::vector<float>& value(size_t index) const { return values_[index]; }
  std::span<const std::vector<float>> values() const { return values_; }
  const engine::Overflows& overflows() const { return execution_->overflows(); }

 private:
  Evaluator() = default;

  std::unique_ptr<engine::Execution> execution_;
  std::vector<std::vector<std::byte>> inputs_, outputs_;
  std::vector<std::vector<float>> values_;
};

// Whether a value can be shown: the float result of an operation, not of one that makes weights.
bool can_be_shown(const mil::Value& value);

// Cuts values into groups whose elements take at most so many bytes together, each at least one.
std::vector<std::vector<const mil::Value*>> groups(std::span<const mil::Value* const> values,
                                                   uint64_t most_bytes);

}  // namespace diptych::compare
