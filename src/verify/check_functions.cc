// Every way to evaluate the same tokens gives the same: token by token through the function for the
// fewest, all at once, and in calls that go on from a cache; through every function of the file.
// Where ways part, both are run operation by operation to find the first that does.
#include <algorithm>
#include <cmath>

#include "compare/part.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

using compare::Call;
using compare::Evaluator;

// Of fp32 sums in other orders.
constexpr double kTolerance = 2e-3;
constexpr double kFirstTolerance = 2e-4;

// What the tokens give, one by one.
struct Trajectory {
  const compare::Function* function = nullptr;
  // By token: what compare::outputs_of() gave in its call, row 0.
  std::vector<std::vector<std::vector<float>>> outputs;
};

struct Machine {
  const compare::Function& function;
  Evaluator evaluator;
  compare::Axes axes;
};

Result<Machine> machine_of(const compare::Function& function) {
  compare::EvaluatorOptions options;
  options.fuse = true;
  options.token_input = function.contract->places.tokens;
  auto evaluator =
      TRY(Evaluator::create(function.function(), compare::outputs_of(function), options));
  return Machine{function, std::move(evaluator), compare::Axes(function, &function.variant->model)};
}

// Call of `used` tokens from `base` on.
Call call_of(const Subject& subject, const compare::Function& function, int64_t base, int64_t used,
             int64_t last) {
  Call call;
  call.function = &function;
  call.base = base;
  call.tokens.assign(subject.tokens.begin() + base, subject.tokens.begin() + base + used);
  call.last = last;
  return call;
}

// What running functions came to.
struct Tally {
  uint64_t calls = 0;
  double worst = 0;
};

class Checker {
 public:
  Checker(Subject& subject, const compare::Variant& variant, Tally& tally, Report& report,
          Progress& progress)
      : s_(subject), variant_(variant), tally_(tally), report_(report), progress_(progress) {}

  Status run() {
    TRY(walk(*variant_.functions.front()));
    for (const compare::Function* function : variant_.functions) {
      if (function->contract->method.tokens < 2) continue;
      TRY(compare_function(*function));
    }
    return {};
  }

 private:
  const contract::Description& model() const { return variant_.model; }

  // The reference: token by token.
  Status walk(const compare::Function& function) {
    trajectory_.function = &function;
    Machine machine = TRY(machine_of(function));
    auto cache = TRY(generate::KvCache::create(model()));
    const auto count = static_cast<int64_t>(s_.tokens.size());
    progress_.begin("running functions", static_cast<uint64_t>(count));
    for (int64_t at = 0; at < count; ++at) {
      if (progress_.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
      progress_.advance(1);
      const Call call = call_of(s_, function, at, 1, 0);
      TRY(machine.evaluator.run(compare::feeds_of(model(), call, cache), 1, *s_.pool));
      ++tally_.calls;
      const auto values = machine.evaluator.values();
      trajectory_.outputs.emplace_back(values.begin(), values.end());
      compare::append(model(), function, values, 0, cache);
    }
    return {};
  }

  // What the first tokens left in the cache.
  Result<generate::KvCache> cache_at(int64_t base) const {
    auto cache = TRY(generate::KvCache::create(model()));
    for (int64_t at = 0; at < base; ++at) {
      compare::append(model(), *trajectory_.function, trajectory_.outputs[static_cast<size_t>(at)],
                      0, cache);
    }
    return cache;
  }
  Result<std::vector<compare::Feed>> feeds(const Call& call) const {
    return compare::feeds_of(model(), call, TRY(cache_at(call.base)));
  }

  Status compare_function(const compare::Function& function) {
    Machine machine = TRY(machine_of(function));
    const auto count = static_cast<int64_t>(s_.tokens.size());
    const int64_t most = function.contract->method.tokens;
    struct Way {
      int64_t base, used, last;
    };
    std::vector<Way> ways;
    const auto add = [&](int64_t base, bool middle) {
      const int64_t used = std::min(most, count - base);
      if (used < 1) return;
      ways.push_back({base, used, middle ? used / 2 : used - 1});
    };
    add(0, false);
    add(count / 2, false);
    if (!function.contract->method.all_logits) add(0, true);
    for (const Way& way : ways) {
      const Call call = call_of(s_, function, way.base, way.used, way.last);
      TRY(machine.evaluator.run(TRY(feeds(call)), way.used, *s_.pool));
      ++tally_.calls;
      if (TRY(compare_call(machine, call))) return {};  // one finding a function
    }
    return {};
  }

  // Whether something was found.
  Result<bool> compare_call(const Machine& machine, const Call& call) {
    const auto values = compare::outputs_of(machine.function);
    const auto others = compare::outputs_of(*trajectory_.function);
    const compare::Axes axes(*trajectory_.function, &model());
    // Keys and values of the first layer that parts show more than logits.
    for (size_t output = 0; output < values.size(); ++output) {
      for (int64_t row = 0; row < call.used(); ++row) {
        const int64_t position = call.base + row;
        const Call one = call_of(s_, *trajectory_.function, position, 1, 0);
        const auto found = compare::deviation(
            {&model(), &call, &machine.axes}, *values[output], machine.evaluator.value(output),
            {&model(), &one, &axes}, *others[output],
            trajectory_.outputs[static_cast<size_t>(position)][output], position);
        if (!found) continue;
        if (std::isfinite(found->relative)) tally_.worst = std::max(tally_.worst, found->relative);
        if (found->relative <= kTolerance) continue;
        TRY(tell(machine.function, call, one, output, position, found->relative));
        return true;
      }
    }
    return false;
  }

  std::string output_name(size_t output) const {
    const size_t layer = output / 2;
    if (output == 2 * model().layers()) return "the logits";
    return fmt::format("the new {} of layer {}", output % 2 == 0 ? "keys" : "values", layer);
  }

  // Runs both ways operation by operation.
  Status tell(const compare::Function& function, const Call& call, const Call& one, size_t output,
              int64_t position, double relative) {
    const compare::Function& first = *trajectory_.function;
    const compare::Alignment alignment = compare::align(function, first);
    const compare::Evaluation a{&function, &model(), &call, TRY(feeds(call))};
    const compare::Evaluation b{&first, &model(), &one, TRY(feeds(one))};
    compare::PartingOptions options;
    options.tolerance = kFirstTolerance;
    const compare::Parting parting =
        TRY(compare::part(alignment, a, b, position, options, *s_.pool));
    const std::string way =
        &function == &first ? fmt::format("{} tokens in one call and token by token", call.used())
                            : fmt::format("{} tokens through {} and token by token through {}",
                                          call.used(), function.graph.name, first.graph.name);
    std::string place = function.graph.name, what;
    if (parting.first) {
      const compare::Node& node = alignment.a.nodes[parting.first->a];
      place = function.place(*node.op);
      const auto wired = std::find_if(
          alignment.differences.begin(), alignment.differences.end(),
          [&](const compare::Difference& difference) { return difference.a == node.op; });
      what = fmt::format("is the first result to part from {}",
                         first.place(*alignment.b.nodes[parting.first->b].op));
      if (wired != alignment.differences.end()) what += fmt::format(" ({})", wired->what);
      relative = parting.first->deviation.relative;
    } else {
      what = fmt::format("{} part", output_name(output));
    }
    report_.find(
        place,
        fmt::format("{}: {} from {} on, at token {}", what, way, output_name(output), position),
        relative);
    return {};
  }

  Subject& s_;
  const compare::Variant& variant_;
  Tally& tally_;
  Report& report_;
  Progress& progress_;
  Trajectory trajectory_;
};

}  // namespace

Status check_functions(Subject& subject, Report& report, Progress& progress) {
  const auto& variants = subject.opened.variants;
  const bool several = std::any_of(variants.begin(), variants.end(), [](const auto& variant) {
    return variant->functions.back()->contract->method.tokens > 1;
  });
  if (!several) {
    report.does_not_apply("there is one way to evaluate tokens");
    return {};
  }
  Tally tally;
  for (const auto& variant : variants) {
    TRY(Checker(subject, *variant, tally, report, progress).run());
  }
  report.note(fmt::format("{} tokens in {} calls, {} apart at most", subject.tokens.size(),
                          tally.calls,
                          tally.worst == 0 ? "0" : fmt::format("{:.1e}", tally.worst)));
  return {};
}

}  // namespace diptych::verify
