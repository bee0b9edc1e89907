#include "compare/evaluate.h"

#include <algorithm>

#include "tensor/convert.h"

namespace diptych::compare {

namespace {

Status convert(const Feed& feed, DType to, std::vector<std::byte>& out) {
  const uint64_t count = TRY(element_count(feed.type.shape));
  out.resize(TRY(packed_size({to, feed.type.shape})));
  if (feed.type.dtype == to) {
    if (feed.data.size() != out.size()) {
      return fail(ErrorCode::Internal, "{} bytes for {}", feed.data.size(), to_string(feed.type));
    }
    std::copy(feed.data.begin(), feed.data.end(), out.begin());
    return {};
  }
  if (!is_castable(feed.type.dtype) || !is_castable(to)) {
    return invalid_argument("expected {}, found {}", name(to), name(feed.type.dtype));
  }
  convert_floats(feed.data.data(), feed.type.dtype, count, out.data(), to);
  return {};
}

}  // namespace

bool can_be_shown(const mil::Value& value) {
  return value.kind == mil::Value::Kind::Result && value.producer != nullptr &&
         !mil::is_constant_expression(value) &&
         (value.type.dtype == DType::F16 || value.type.dtype == DType::F32);
}

std::vector<std::vector<const mil::Value*>> groups(std::span<const mil::Value* const> values,
                                                   uint64_t most_bytes) {
  std::vector<std::vector<const mil::Value*>> result;
  uint64_t bytes = 0;
  for (const mil::Value* value : values) {
    const uint64_t size = element_count(value->type.shape).value_or(0) * sizeof(float);
    if (result.empty() || bytes + size > most_bytes) {
      result.emplace_back();
      bytes = 0;
    }
    result.back().push_back(value);
    bytes += size;
  }
  return result;
}

Result<Evaluator> Evaluator::create(const mil::Function& function,
                                    std::span<const mil::Value* const> values,
                                    const EvaluatorOptions& options) {
  const auto copy = mil::clone(function);
  copy->outputs.clear();
  for (const mil::Value* value : values) {
    if (!can_be_shown(*value)) {
      return fail(ErrorCode::Internal, "'{}' cannot be shown", value->name);
    }
    copy->outputs.push_back(copy->find(value->name));
  }
  copy->remove_dead();
  engine::ExecutableOptions compiled;
  compiled.numerics = options.numerics;
  compiled.wide_ports = options.numerics == engine::Numerics::Precise;
  compiled.fuse = options.fuse;
  compiled.verified = true;
  if (options.token_input) {
    compiled.token_axes.resize(*options.token_input + 1);
    compiled.token_axes[*options.token_input] = 1;
  }
  Evaluator result;
  result.execution_ =
      TRY(engine::Execution::create(TRY(engine::Executable::compile(*copy, compiled))));
  const engine::Executable& executable = result.execution_->executable();
  result.inputs_.resize(executable.inputs().size());
  for (size_t i = 0; i < values.size(); ++i) {
    const TensorType& type = executable.outputs()[i].type;
    result.outputs_.emplace_back(TRY(packed_size(type)));
    result.values_.emplace_back(TRY(element_count(type.shape)));
    TRY(result.execution_->bind_output(i, result.outputs_.back().data(), type));
  }
  return result;
}

Status Evaluator::run(std::span<const Feed> feeds, int64_t live, ThreadPool& pool) {
  const auto& ports = execution_->executable().inputs();
  for (size_t i = 0; i < ports.size(); ++i) {
    TRY(within([&] { return "input " + ports[i].name; },
               convert(feeds[i], ports[i].type.dtype, inputs_[i])));
    TRY(execution_->bind_input(i, inputs_[i].data(), ports[i].type));
  }
  execution_->limit_tokens(live);
  TRY(execution_->run(pool));
  for (size_t i = 0; i < values_.size(); ++i) {
    convert_floats(outputs_[i].data(), execution_->executable().outputs()[i].type.dtype,
                   values_[i].size(), reinterpret_cast<std::byte*>(values_[i].data()), DType::F32);
  }
  return {};
}

}  // namespace diptych::compare
