// Runs a parsed template.
#pragma once

#include <ctime>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "jinja/ast.h"
#include "jinja/builtins.h"

namespace diptych::jinja {

// What a template may use up before it is stopped.
struct Limits {
  uint64_t steps = 10'000'000;  // evaluated nodes, and elements that are looked at (jinja/meter.h)
  size_t output_bytes = size_t{64} << 20;  // of all texts that are being written at a time
  size_t memory_bytes = size_t{256} << 20;
};

// Variables of a scope. Frames of loops and macros see those around them.
struct Frame {
  Frame* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> variables;  // names live in the tree or the heap
  bool captured = false;  // a macro made here may outlive the scope

  // `looked` counts the variables that were looked at.
  const Value* find(std::string_view name, uint64_t& looked) const;
  void set(std::string_view name, const Value& value);
};

// Nested blocks, expressions and calls together.
inline constexpr int kMaxDepth = 500;

class Interpreter {
 public:
  // `now`: the time that strftime_now writes.
  Interpreter(Heap& heap, const Limits& limits, const std::tm& now)
      : heap_(heap), limits_(limits), now_(now), meter_(limits.steps) {}

  // Runs the template with `globals` for variables; the output.
  Result<std::string> run(const Block& block, const Entries& globals);

  Heap& heap() { return heap_; }
  Meter& meter() { return meter_; }
  const std::tm& now() const { return now_; }

  // Counts work; fails when there was too much of it, or too much memory is used.
  Status step(uint64_t count = 1);

  // Calls a macro, a method or a function.
  Result<Value> call(const Value& function, const CallArguments& arguments);
  Result<Value> call(const Builtin& builtin, const Value& self, const CallArguments& arguments);

  // `value.name` and `value[key]` as templates mean them.
  Result<Value> attribute(const Value& value, std::string_view name);
  Result<Value> item(const Value& value, const Value& key);

  // What a loop over `value` sees: a copy, which is charged.
  Result<Items> iterate(const Value& value);

  // `a + b`.
  Result<Value> add(const Value& a, const Value& b);

  // A string in which `from` has given place to `to`, at most `most` times; negative: always.
  Result<Value> replaced(std::string_view text, std::string_view from, std::string_view to,
                         int64_t most);

  // `needle in haystack`.
  Result<bool> contains(const Value& haystack, const Value& needle);

 private:
  // How a block ended.
  enum class Flow : uint8_t { Normal, Break, Continue };

  Result<Flow> run_block(const Block& block, Frame& frame);
  Result<Flow> run_statement(const Statement& statement, Frame& frame);
  Result<Flow> run_if(const Statement& statement, Frame& frame);
  Result<Flow> run_for(const Statement& statement, Frame& frame);
  Result<Flow> run_with(const Statement& statement, Frame& frame);
  Status run_call_block(const Statement& statement, Frame& frame);
  Status run_set_block(const Statement& statement, Frame& frame);
  Status assign(const Target& target, const Value& value, Frame& frame);
  Status write(std::string_view text);
  Result<const Value*> variable(const Frame& frame, std::string_view name);
  Result<std::string> captured(const Block& block, Frame& frame);
  Result<Value> apply_filters(const Expression& chain, const Value& value, Frame& frame);

  Result<Value> evaluate(const Expression& expression, Frame& frame);
  Result<Value> evaluate_node(const Expression& expression, Frame& frame);
  Result<Value> evaluate_name(const Expression& expression, Frame& frame);
  Result<Value> evaluate_item(const Expression& expression, Frame& frame);
  Result<Value> evaluate_call(const Expression& expression, Frame& frame);
  Result<Value> evaluate_compare(const Expression& expression, Frame& frame);
  Result<Value> evaluate_concat(const Expression& expression, Frame& frame);
  Result<Value> evaluate_dict(const Expression& expression, Frame& frame);
  Result<Items> evaluate_all(const std::vector<ExpressionPtr>& list, Frame& frame);
  Result<CallArguments> evaluate_arguments(const Arguments& arguments, Frame& frame);
  Status charge_items(size_t count);
  // The result, its error placed at `at` unless a place further inside is known already.
  template <class T>
  Result<T> placed(Position at, Result<T> result);
  // An undefined value with what is to be said when it is used.
  template <class... Args>
  Result<Value> missing(fmt::format_string<Args...> format, Args&&... args) {
    constexpr uint64_t kStepsOfText = 16;
    TRY(step(kStepsOfText));
    return heap_.undefined(fmt::format(format, std::forward<Args>(args)...));
  }
  Result<Value> slice(const Value& value, const Expression& slice, Frame& frame);
  Result<Value> binary(std::string_view op, const Value& a, const Value& b);
  Result<Value> multiply(const Value& a, const Value& b);
  Result<Value> join(const Value& a, const Value& b);
  Result<Value> call_macro(const Function& function, const CallArguments& arguments);
  Status bind_macro(const Macro& macro, const CallArguments& arguments, Frame& frame);
  Value function(const Function& function);
  Frame& new_frame(Frame* parent);

  Heap& heap_;
  const Limits limits_;
  const std::tm now_;
  Meter meter_;
  int depth_ = 0;                     // of recursion in this class
  std::optional<Position> error_at_;  // of the error that ends the run
  std::string* output_ = nullptr;
  size_t open_bytes_ = 0;  // of the output and all texts that are being captured
  std::deque<Frame> frames_;
  std::deque<Function> functions_;
  std::deque<Loop> loops_;
};

}  // namespace diptych::jinja
