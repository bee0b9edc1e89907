#include "compare/part.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace diptych::compare {

namespace {

EvaluatorOptions options_of(const Evaluation& evaluation, engine::Numerics numerics) {
  EvaluatorOptions options;
  options.numerics = numerics;
  if (evaluation.call != nullptr)
    options.token_input = evaluation.function->contract->places.tokens;
  return options;
}

Result<Evaluator> evaluated(const Evaluation& evaluation, std::span<const mil::Value* const> values,
                            engine::Numerics numerics, ThreadPool& pool) {
  auto evaluator = TRY(
      Evaluator::create(evaluation.function->function(), values, options_of(evaluation, numerics)));
  const int64_t live = evaluation.call == nullptr ? INT64_MAX : evaluation.call->used();
  TRY(evaluator.run(evaluation.feeds, live, pool));
  return evaluator;
}

double inherited(const Alignment& alignment, const Node& node,
                 const std::map<size_t, double>& known) {
  double most = 0;
  for (const Node::Operand& operand : node.operands) {
    if (operand.kind != Node::Operand::Kind::Node) continue;
    const auto found = known.find(operand.index);
    if (found != known.end()) {
      most = std::max(most, found->second);
    } else {
      // What cannot be compared itself passes on what it reads.
      most = std::max(most, inherited(alignment, alignment.a.nodes[operand.index], known));
    }
  }
  return most;
}

}  // namespace

Result<Parting> part(const Alignment& alignment, const Evaluation& a, const Evaluation& b,
                     int64_t position, const PartingOptions& options, ThreadPool& pool) {
  std::vector<std::pair<size_t, size_t>> pairs;
  std::vector<const mil::Value*> values;
  for (size_t i = 0; i < alignment.a.nodes.size(); ++i) {
    if (!alignment.of_a[i]) continue;
    const size_t j = *alignment.of_a[i];
    if (!can_be_shown(*alignment.a.nodes[i].result) ||
        !can_be_shown(*alignment.b.nodes[j].result)) {
      continue;
    }
    pairs.emplace_back(i, j);
    values.push_back(alignment.a.nodes[i].result);
  }
  const Axes axes_a(*a.function, a.model), axes_b(*b.function, b.model);
  const Side side_a{a.model, a.call, &axes_a}, side_b{b.model, b.call, &axes_b};
  Parting result;
  std::map<size_t, double> known;
  size_t next = 0;
  for (const auto& group : groups(values, options.most_bytes)) {
    const std::span<const std::pair<size_t, size_t>> part(&pairs[next], group.size());
    next += group.size();
    std::vector<const mil::Value*> others;
    for (const auto& [i, j] : part) others.push_back(alignment.b.nodes[j].result);
    const Evaluator one = TRY(evaluated(a, group, options.numerics_a, pool));
    const Evaluator two = TRY(evaluated(b, others, options.numerics_b, pool));
    for (size_t p = 0; p < part.size(); ++p) {
      const auto [i, j] = part[p];
      const auto found =
          deviation(side_a, *group[p], one.value(p), side_b, *others[p], two.value(p), position);
      if (!found) continue;
      PairError error{i, j, *found, inherited(alignment, alignment.a.nodes[i], known)};
      known[i] = found->relative;
      result.errors.push_back(error);
      if (!result.first && error.deviation.relative > options.tolerance &&
          !(error.inherited > options.tolerance)) {
        result.first = error;
      }
    }
  }
  std::map<size_t, double> by_layer;
  for (const PairError& error : result.errors) {
    const auto layer = a.function->layers.of(*alignment.a.nodes[error.a].op);
    if (layer) by_layer[*layer] = error.deviation.relative;
  }
  result.by_layer.assign(by_layer.begin(), by_layer.end());
  return result;
}

}  // namespace diptych::compare
