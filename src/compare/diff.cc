#include "compare/diff.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace diptych::compare {

namespace {

// Tokens that both are run on: as many as show layers that read their caches.
constexpr int64_t kTokens = 8;

std::string role_name(const Function& function) {
  if (function.contract == nullptr) return {};
  return std::string(contract::row_of(function.contract->method.role).described);
}

// Why two language models cannot be run on one input; empty if they can.
std::string why_not_alike(const contract::Description& a, const contract::Description& b) {
  if (a.vocab_size != b.vocab_size) {
    return fmt::format("vocabularies of {} and {} tokens", a.vocab_size, b.vocab_size);
  }
  if (a.layers() != b.layers()) return fmt::format("{} and {} layers", a.layers(), b.layers());
  if (a.kv_heads != b.kv_heads || a.head_dim != b.head_dim) {
    return fmt::format("{} and {} heads of keys and values, of {} and {} channels", a.kv_heads,
                       b.kv_heads, a.head_dim, b.head_dim);
  }
  return {};
}

Result<std::vector<WeightDifference>> compare_weights(const Alignment& alignment, ThreadPool& pool,
                                                      Progress& progress) {
  std::vector<WeightDifference> differences;
  progress.begin("comparing weights", alignment.a.nodes.size());
  for (size_t i = 0; i < alignment.a.nodes.size(); ++i) {
    progress.advance(1);
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    if (!alignment.of_a[i]) continue;
    const size_t j = *alignment.of_a[i];
    const auto of_a = weights_of(alignment.a.nodes[i]), of_b = weights_of(alignment.b.nodes[j]);
    for (size_t w = 0; w < std::min(of_a.size(), of_b.size()); ++w) {
      const mil::Value &x = *of_a[w].pieces.front(), &y = *of_b[w].pieces.front();
      if (x.is_constant() && y.is_constant() && x.weight == y.weight) continue;
      const auto found = distance(of_a[w], of_b[w], pool);
      WeightDifference difference{i, x.name, y.name, form_of(x), form_of(y)};
      for (const auto* piece : of_a[w].pieces) difference.bytes_a += stored_bytes(*piece);
      for (const auto* piece : of_b[w].pieces) difference.bytes_b += stored_bytes(*piece);
      difference.relative = found ? found->relative : INFINITY;
      if (difference.relative > 0 || difference.form_a != difference.form_b) {
        differences.push_back(std::move(difference));
      }
    }
  }
  return differences;
}

// Random elements for functions without a contract: the same for the same roles.
std::vector<Feed> made_up(const Function& function) {
  std::vector<Feed> feeds;
  uint64_t seed = 1;
  for (const mil::Value* input : function.function().inputs) {
    TensorType type = input->type;
    std::mt19937_64 random(seed++);
    if (is_float(type.dtype)) type.dtype = DType::F32;
    Feed feed{type, {}};
    feed.data.resize(packed_size(type).value_or(0));
    if (type.dtype == DType::F32) {
      for (size_t i = 0; i + 4 <= feed.data.size(); i += 4) {
        const auto unit = static_cast<float>(random() >> 40) * 0x1p-24F;
        store(&feed.data[i], 2 * unit - 1);
      }
    }
    feeds.push_back(std::move(feed));
  }
  return feeds;
}

struct Prepared {
  Call call;
  Evaluation evaluation;
};

// Fills a cache by calls of `function` with the tokens up to `position`, then prepares the call
// whose last token is the one there.
Result<Prepared> prepare(const Function& function, const std::vector<int64_t>& tokens,
                         engine::Numerics numerics, ThreadPool& pool) {
  const contract::Description& model = function.variant->model;
  auto cache = TRY(generate::KvCache::create(model));
  const int64_t most = function.contract->method.tokens;
  const auto count = static_cast<int64_t>(tokens.size());
  const auto outputs = outputs_of(function);
  EvaluatorOptions options{numerics, true, function.contract->places.tokens};
  auto evaluator = TRY(Evaluator::create(function.function(), outputs, options));
  Prepared result;
  Call& call = result.call;
  call.function = &function;
  for (int64_t at = 0;;) {
    call.base = at;
    call.tokens.assign(tokens.begin() + at, tokens.begin() + std::min(at + most, count));
    call.last = call.used() - 1;
    if (at + call.used() == count) break;
    TRY(evaluator.run(feeds_of(model, call, cache), call.used(), pool));
    for (int64_t row = 0; row < call.used(); ++row)
      append(model, function, evaluator.values(), row, cache);
    at += call.used();
  }
  result.evaluation.function = &function;
  result.evaluation.model = &model;
  result.evaluation.feeds = feeds_of(model, call, cache);
  return result;
}

std::string cannot_run(const Function& x, const Function& y) {
  if ((x.contract == nullptr) != (y.contract == nullptr)) return "only one is a language model's";
  if (x.contract != nullptr) return why_not_alike(x.variant->model, y.variant->model);
  if (x.input_roles != y.input_roles) return "their inputs have other types";
  return {};
}

}  // namespace

double FunctionDiff::explained(size_t node_a) const {
  double most = 0;
  for (const WeightDifference& weight : weights) {
    if (weight.a == node_a) most = std::max(most, weight.relative);
  }
  return most;
}

Result<std::vector<std::pair<const Function*, const Function*>>> pairs(
    const Subject& a, const std::string& function_a, const Subject& b,
    const std::string& function_b) {
  const auto named = [](const Subject& subject,
                        const std::string& name) -> Result<const Function*> {
    if (const Function* found = subject.find(name)) return found;
    std::vector<std::string> names;
    for (const auto& function : subject.functions) names.push_back(function->graph.name);
    return tl::unexpected(Error{ErrorCode::NotFound, subject.path,
                                fmt::format("no function \"{}\"; the file has", name), names});
  };
  if (!function_a.empty() || !function_b.empty()) {
    const Function* x = function_a.empty() ? nullptr : TRY(named(a, function_a));
    const Function* y = function_b.empty() ? nullptr : TRY(named(b, function_b));
    if (x == nullptr) x = a.find(function_b);
    if (y == nullptr) y = b.find(function_a);
    if (x == nullptr) x = a.functions.front().get();
    if (y == nullptr) y = b.functions.front().get();
    return std::vector<std::pair<const Function*, const Function*>>{{x, y}};
  }
  std::vector<std::pair<const Function*, const Function*>> result;
  std::vector<const Function*> left;
  for (const auto& function : b.functions) left.push_back(function.get());
  const auto take = [&](const auto& fits) {
    for (const auto& function : a.functions) {
      if (std::any_of(result.begin(), result.end(),
                      [&](const auto& pair) { return pair.first == function.get(); })) {
        continue;
      }
      const auto found = std::find_if(
          left.begin(), left.end(), [&](const Function* other) { return fits(*function, *other); });
      if (found == left.end()) continue;
      result.emplace_back(function.get(), *found);
      left.erase(found);
    }
  };
  take([](const Function& x, const Function& y) { return x.graph.name == y.graph.name; });
  take([](const Function& x, const Function& y) {
    return x.contract != nullptr && role_name(x) == role_name(y);
  });
  take([](const Function&, const Function&) { return true; });
  if (result.empty()) return not_found("one of the files has no function");
  return result;
}

Result<FunctionDiff> diff(const Function& a, const Function& b, const DiffOptions& options,
                          ThreadPool& pool, Progress& progress) {
  FunctionDiff result;
  result.a = &a;
  result.b = &b;
  result.alignment = align(a, b);
  if (options.weights) result.weights = TRY(compare_weights(result.alignment, pool, progress));
  if (!options.numbers) {
    result.not_run = "not asked for";
    return result;
  }
  result.not_run = cannot_run(a, b);
  if (!result.not_run.empty()) return result;
  progress.begin("running both", 0);
  PartingOptions parting;
  parting.tolerance = options.tolerance;
  parting.numerics_a = options.numerics_a;
  parting.numerics_b = options.numerics_b;
  if (a.contract == nullptr) {
    const Evaluation one{&a, nullptr, nullptr, made_up(a)}, two{&b, nullptr, nullptr, made_up(b)};
    result.parting = TRY(part(result.alignment, one, two, 0, parting, pool));
  } else {
    const int64_t most =
        std::min({a.variant->model.cache_len(), b.variant->model.cache_len(), kTokens});
    const std::vector<int64_t> tokens =
        made_up_tokens(a.variant->model.vocab_size, std::max<int64_t>(most, 1));
    Prepared one = TRY(prepare(a, tokens, options.numerics_a, pool));
    Prepared two = TRY(prepare(b, tokens, options.numerics_b, pool));
    one.evaluation.call = &one.call;
    two.evaluation.call = &two.call;
    result.position = std::ssize(tokens) - 1;
    result.parting =
        TRY(part(result.alignment, one.evaluation, two.evaluation, result.position, parting, pool));
  }
  for (const PairError& error : result.parting.errors) {
    constexpr double kGrowth = 8;
    const double allowed =
        std::max(options.tolerance, kGrowth * std::max(error.inherited, result.explained(error.a)));
    if (error.deviation.relative <= allowed) continue;
    result.first_unexplained = error;
    break;
  }
  return result;
}

}  // namespace diptych::compare
