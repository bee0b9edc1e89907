// Statements, scopes and macros; evaluate.cc has the expressions.
#include "jinja/interpreter.h"

#include <algorithm>

#include "base/in_quotes.h"

namespace diptych::jinja {

template <class T>
Result<T> Interpreter::placed(Position at, Result<T> result) {
  if (result || error_at_) return result;
  error_at_ = at;
  return within(to_string(at), std::move(result));
}

const Value* Frame::find(std::string_view name, uint64_t& looked) const {
  for (const Frame* frame = this; frame != nullptr; frame = frame->parent) {
    looked += 1 + frame->variables.size();
    for (const auto& [known, value] : frame->variables) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Frame::set(std::string_view name, const Value& value) {
  for (auto& [known, old] : variables) {
    if (known == name) {
      old = value;
      return;
    }
  }
  variables.emplace_back(name, value);
}

Frame& Interpreter::new_frame(Frame* parent) {
  heap_.charge(sizeof(Frame) + 64);
  Frame& frame = frames_.emplace_back();
  frame.parent = parent;
  return frame;
}

Value Interpreter::function(const Function& function) {
  heap_.charge(sizeof(Function));
  return Value::of(&functions_.emplace_back(function));
}

Status Interpreter::step(uint64_t count) {
  TRY(meter_.step(count));
  return heap_.exhausted() ? heap_.check(0) : Status();
}

Result<const Value*> Interpreter::variable(const Frame& frame, std::string_view name) {
  uint64_t looked = 0;
  const Value* const found = frame.find(name, looked);
  TRY(meter_.items(looked * (1 + name.size() / 64)));
  return found;
}

Status Interpreter::write(std::string_view text) {
  if (open_bytes_ + text.size() > limits_.output_bytes) {
    return unsupported("the template writes more than {} MiB", limits_.output_bytes >> 20);
  }
  TRY(meter_.bytes(text.size()));
  open_bytes_ += text.size();
  output_->append(text);
  return {};
}

Result<std::string> Interpreter::run(const Block& block, const Entries& globals) {
  Frame& frame = new_frame(nullptr);
  for (const auto& [name, value] : globals) frame.set(name.string(), value);
  // Templates set variables of their own over those that are given.
  return captured(block, new_frame(&frame));
}

Result<std::string> Interpreter::captured(const Block& block, Frame& frame) {
  std::string text;
  std::string* const outer = std::exchange(output_, &text);
  const auto flow = run_block(block, frame);
  output_ = outer;
  open_bytes_ -= text.size();
  if (!flow) return tl::unexpected(flow.error());
  return text;
}

Result<Interpreter::Flow> Interpreter::run_block(const Block& block, Frame& frame) {
  for (const Statement& statement : block) {
    if (++depth_ > kMaxDepth) {
      --depth_;
      return placed<Flow>(
          statement.at, unsupported("macros and statements nest deeper than {} levels", kMaxDepth));
    }
    const auto flow = placed(statement.at, run_statement(statement, frame));
    --depth_;
    if (!flow || *flow != Flow::Normal) return flow;
  }
  return Flow::Normal;
}

Result<Interpreter::Flow> Interpreter::run_statement(const Statement& statement, Frame& frame) {
  using Kind = Statement::Kind;
  TRY(step());
  switch (statement.kind) {
    case Kind::Text:
      TRY(write(statement.text));
      return Flow::Normal;
    case Kind::Output:
      TRY(write(TRY(to_text(TRY(evaluate(*statement.expressions[0], frame)), meter_))));
      return Flow::Normal;
    case Kind::If:
      return run_if(statement, frame);
    case Kind::For:
      return run_for(statement, frame);
    case Kind::Set:
      TRY(assign(statement.targets[0], TRY(evaluate(*statement.expressions[0], frame)), frame));
      return Flow::Normal;
    case Kind::SetBlock:
      TRY(run_set_block(statement, frame));
      return Flow::Normal;
    case Kind::Macro:
      for (Frame* around = &frame; around != nullptr; around = around->parent) {
        around->captured = true;
      }
      frame.set(statement.macro->name, function({nullptr, {}, statement.macro.get(), &frame}));
      return Flow::Normal;
    case Kind::CallBlock:
      TRY(run_call_block(statement, frame));
      return Flow::Normal;
    case Kind::Filter: {
      const Value text = heap_.string(TRY(captured(statement.bodies[0], new_frame(&frame))));
      TRY(write(TRY(to_text(TRY(apply_filters(*statement.expressions[0], text, frame)), meter_))));
      return Flow::Normal;
    }
    case Kind::With:
      return run_with(statement, frame);
    case Kind::Scope:
      return run_block(statement.bodies[0], new_frame(&frame));
    case Kind::Break:
      return Flow::Break;
    case Kind::Continue:
      return Flow::Continue;
  }
  return Flow::Normal;
}

Result<Interpreter::Flow> Interpreter::run_if(const Statement& statement, Frame& frame) {
  for (size_t i = 0; i < statement.expressions.size(); ++i) {
    if (truth(TRY(evaluate(*statement.expressions[i], frame)))) {
      return run_block(statement.bodies[i], frame);
    }
  }
  if (statement.bodies.size() > statement.expressions.size()) {
    return run_block(statement.bodies.back(), frame);
  }
  return Flow::Normal;
}

Result<Interpreter::Flow> Interpreter::run_for(const Statement& statement, Frame& frame) {
  const Target& target = statement.targets[0];
  Items items = TRY(iterate(TRY(evaluate(*statement.expressions[0], frame))));
  if (const ExpressionPtr& condition = statement.expressions[1]) {
    Items kept;
    Frame& scope = new_frame(&frame);
    for (const Value& item : items) {
      TRY(assign(target, item, scope));
      if (truth(TRY(evaluate(*condition, scope)))) kept.push_back(item);
    }
    items = std::move(kept);
  }
  if (items.empty()) return run_block(statement.bodies[1], new_frame(&frame));

  heap_.charge(sizeof(Loop));
  const Value list = heap_.list(std::move(items));
  Loop& loop = loops_.emplace_back();
  loop.items = &list.items();
  Frame* scope = &new_frame(&frame);
  for (; loop.index < loop.items->size(); ++loop.index) {
    // Every round has variables of its own.
    if (scope->captured) scope = &new_frame(&frame);
    scope->variables.clear();
    scope->set("loop", Value::of(&loop));
    TRY(assign(target, (*loop.items)[loop.index], *scope));
    if (TRY(run_block(statement.bodies[0], *scope)) == Flow::Break) break;
  }
  return Flow::Normal;
}

Result<Interpreter::Flow> Interpreter::run_with(const Statement& statement, Frame& frame) {
  Frame& scope = new_frame(&frame);
  for (size_t i = 0; i < statement.targets.size(); ++i) {
    const Value value = TRY(evaluate(*statement.expressions[i], frame));
    TRY(assign(statement.targets[i], value, scope));
  }
  return run_block(statement.bodies[0], scope);
}

Status Interpreter::run_set_block(const Statement& statement, Frame& frame) {
  Value text = heap_.string(TRY(captured(statement.bodies[0], new_frame(&frame))));
  if (statement.expressions[0]) {
    text = TRY(apply_filters(*statement.expressions[0], text, frame));
  }
  return assign(statement.targets[0], text, frame);
}

Status Interpreter::run_call_block(const Statement& statement, Frame& frame) {
  const Expression& call = *statement.expressions[0];
  const Value callee = TRY(evaluate(*call.children[0], frame));
  CallArguments arguments = TRY(evaluate_arguments(call.arguments, frame));
  arguments.named.emplace_back("caller", function({nullptr, {}, statement.macro.get(), &frame}));
  return write(TRY(to_text(TRY(this->call(callee, arguments)), meter_)));
}

// The chain's innermost filter has no value of its own.
Result<Value> Interpreter::apply_filters(const Expression& chain, const Value& value,
                                         Frame& frame) {
  const Value inner =
      chain.children[0] ? TRY(apply_filters(*chain.children[0], value, frame)) : value;
  const CallArguments arguments = TRY(evaluate_arguments(chain.arguments, frame));
  return placed(chain.at, call(*chain.builtin, inner, arguments));
}

Status Interpreter::assign(const Target& target, const Value& value, Frame& frame) {
  TRY(step());
  if (target.kind == Target::Kind::Name) {
    TRY(meter_.items(frame.variables.size() * (1 + target.name.size() / 64)));
    frame.set(target.name, value);
    return {};
  }
  if (target.kind == Target::Kind::Attribute) {
    const Value* object = TRY(variable(frame, target.name));
    if (object == nullptr || !object->is(Kind::Namespace)) {
      return invalid_argument("{} is not a namespace, so its attributes cannot be set",
                              in_quotes(target.name));
    }
    heap_.charge(sizeof(Entries::value_type));
    return set_entry(object->entries(), Value::of(&target.attribute), value, meter_);
  }
  const Items items = TRY(iterate(value));
  if (items.size() != target.parts.size()) {
    return invalid_argument("{} values for {} names", items.size(), target.parts.size());
  }
  for (size_t i = 0; i < items.size(); ++i) TRY(assign(target.parts[i], items[i], frame));
  return {};
}

Result<Value> Interpreter::call(const Value& value, const CallArguments& arguments) {
  TRY(step());
  if (value.is(Kind::Undefined)) {
    return invalid_argument("{}", value.what() != nullptr ? *value.what() : "undefined");
  }
  if (!value.is(Kind::Function)) {
    return invalid_argument("a {} cannot be called", type_name(value));
  }
  const Function& function = value.function();
  if (function.macro != nullptr) return call_macro(function, arguments);
  return call(*function.builtin, function.self, arguments);
}

Result<Value> Interpreter::call_macro(const Function& function, const CallArguments& arguments) {
  if (++depth_ > kMaxDepth) {
    --depth_;
    return unsupported("macros and statements nest deeper than {} levels", kMaxDepth);
  }
  Frame& frame = new_frame(function.frame);
  auto text =
      within([&] { return fmt::format("in the macro {}", in_quotes(function.macro->name)); },
             [&]() -> Result<std::string> {
               TRY(bind_macro(*function.macro, arguments, frame));
               return captured(function.macro->body, frame);
             }());
  --depth_;
  return heap_.string(TRY(std::move(text)));
}

Status Interpreter::bind_macro(const Macro& macro, const CallArguments& arguments, Frame& frame) {
  const size_t count = macro.parameters.size();
  // Each is looked for among the others.
  TRY(meter_.items((count + arguments.named.size()) * count));
  Items rest;
  Entries named_rest;
  std::vector<bool> given(count);
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < count) {
      frame.set(macro.parameters[i].name, arguments.positional[i]);
      given[i] = true;
    } else if (macro.uses_varargs) {
      rest.push_back(arguments.positional[i]);
    } else {
      return invalid_argument("takes {} arguments, not {}", count, arguments.positional.size());
    }
  }
  Value caller = heap_.undefined("\"caller\" is undefined");
  for (const auto& [name, value] : arguments.named) {
    const auto parameter =
        std::find_if(macro.parameters.begin(), macro.parameters.end(),
                     [&name = name](const Parameter& p) { return p.name == name; });
    const auto index = static_cast<size_t>(parameter - macro.parameters.begin());
    if (index < count) {
      if (given[index]) return invalid_argument("has two values for {}", in_quotes(name));
      frame.set(parameter->name, value);
      given[index] = true;
    } else if (name == "caller" && macro.uses_caller) {
      caller = value;
    } else if (macro.uses_kwargs) {
      named_rest.emplace_back(heap_.string(name), value);
    } else {
      return invalid_argument("has no parameter {}", in_quotes(name));
    }
  }
  for (size_t i = 0; i < count; ++i) {
    const Parameter& parameter = macro.parameters[i];
    if (given[i]) continue;
    const Value value = parameter.otherwise
                            ? TRY(evaluate(*parameter.otherwise, frame))
                            : heap_.undefined(fmt::format("the parameter {} was not given",
                                                          in_quotes(parameter.name)));
    frame.set(parameter.name, value);
  }
  if (macro.uses_caller) frame.set("caller", caller);
  if (macro.uses_varargs) frame.set("varargs", heap_.tuple(std::move(rest)));
  if (macro.uses_kwargs) frame.set("kwargs", heap_.dict(std::move(named_rest)));
  return {};
}

Result<Value> Interpreter::evaluate(const Expression& expression, Frame& frame) {
  TRY(step());
  if (++depth_ > kMaxDepth) {
    --depth_;
    return placed<Value>(expression.at,
                         unsupported("expressions nest deeper than {} levels", kMaxDepth));
  }
  auto value = placed(expression.at, evaluate_node(expression, frame));
  --depth_;
  return value;
}

}  // namespace diptych::jinja
