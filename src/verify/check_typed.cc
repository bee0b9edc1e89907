#include <algorithm>
#include <cmath>

#include "compare/calls.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

constexpr size_t kTokens = 16;
constexpr uint64_t kMostBytes = 256 << 20;
// Rows of fewer elements may vanish beside what they are added to.
constexpr int64_t kWide = 8;

const mil::Op* op_named(const mil::Function& function, const std::string& label) {
  for (const auto& op : function.ops) {
    for (const mil::Value* result : op->results) {
      if (label == fmt::format("{} '{}'", op->type, result->name)) return op.get();
    }
  }
  return nullptr;
}

// Rows that are all zero in typed numerics and are not in precise ones.
int64_t vanished(const mil::Value& value, const std::vector<float>& typed,
                 const std::vector<float>& precise) {
  if (value.type.shape.empty() || value.type.shape.back() < kWide) return 0;
  const auto width = static_cast<size_t>(value.type.shape.back());
  int64_t rows = 0;
  for (size_t at = 0; at + width <= typed.size(); at += width) {
    const auto zero = [](float element) { return element == 0; };
    if (!std::all_of(&typed[at], &typed[at] + width, zero)) continue;
    if (!std::all_of(&precise[at], &precise[at] + width, zero)) {
      ++rows;
    }
  }
  return rows;
}

bool has_nan(const std::vector<float>& elements) {
  return std::any_of(elements.begin(), elements.end(),
                     [](float element) { return std::isnan(element); });
}

// The first tokens, in the function for the most: it shows the most at once.
compare::Call call_of(const Subject& subject, const compare::Variant& variant) {
  compare::Call call;
  call.function = variant.functions.back();
  const auto most = static_cast<size_t>(call.function->contract->method.tokens);
  const size_t count = std::min({most, kTokens, subject.tokens.size()});
  call.tokens.assign(subject.tokens.begin(),
                     subject.tokens.begin() + static_cast<std::ptrdiff_t>(count));
  call.last = call.used() - 1;
  return call;
}

// Gives the number of values that were looked at.
Result<size_t> check_variant(const Subject& subject, const compare::Variant& variant,
                             Report& report, Progress& progress) {
  const compare::Call call = call_of(subject, variant);
  const compare::Function& function = *call.function;
  const auto cache = TRY(generate::KvCache::create(variant.model));
  const std::vector<compare::Feed> feeds = compare::feeds_of(variant.model, call, cache);
  std::vector<const mil::Value*> values;
  for (const auto& op : function.function().ops) {
    for (const mil::Value* result : op->results) {
      if (compare::can_be_shown(*result)) values.push_back(result);
    }
  }
  bool told_nan = false, told_overflow = false, told_vanished = false;
  for (const auto& group : compare::groups(values, kMostBytes)) {
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    const auto run = [&](engine::Numerics numerics) -> Result<compare::Evaluator> {
      auto evaluator = TRY(compare::Evaluator::create(
          function.function(), group, {numerics, false, function.contract->places.tokens}));
      TRY(evaluator.run(feeds, call.used(), *subject.pool));
      return evaluator;
    };
    const compare::Evaluator typed = TRY(run(engine::Numerics::Typed));
    const compare::Evaluator precise = TRY(run(engine::Numerics::Precise));
    if (typed.overflows().count > 0 && !told_overflow) {
      told_overflow = true;
      const mil::Op* op = op_named(function.function(), typed.overflows().first_op);
      report.find(
          op == nullptr ? typed.overflows().first_op : function.place(*op),
          fmt::format("is the first of {} results that overflow fp16", typed.overflows().count));
    }
    for (size_t i = 0; i < group.size(); ++i) {
      if (!told_nan && has_nan(typed.value(i))) {
        told_nan = true;
        report.find(function.place(*group[i]->producer), "is the first result with NaN");
      }
      const int64_t rows = vanished(*group[i], typed.value(i), precise.value(i));
      if (rows == 0 || told_vanished) continue;
      told_vanished = true;
      report.find(function.place(*group[i]->producer),
                  fmt::format("is the first result with rows that vanish, {} of them", rows));
    }
  }
  return values.size();
}

}  // namespace

Status check_typed(Subject& subject, Report& report, Progress& progress) {
  progress.begin("running in the file's types", 0);
  size_t values = 0;
  for (const auto& variant : subject.opened.variants) {
    values += TRY(check_variant(subject, *variant, report, progress));
  }
  const compare::Call call = call_of(subject, *subject.opened.variants.front());
  report.note(fmt::format("{} values of {} tokens through {}", values, call.used(),
                          call.function->graph.name));
  return {};
}

}  // namespace diptych::verify
