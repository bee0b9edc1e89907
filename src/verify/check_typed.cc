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

struct Side {
  compare::Subject opened;
  const compare::Function* function = nullptr;
  std::vector<compare::Feed> feeds;
};

Result<Side> side_of(const Subject& subject, engine::Numerics numerics, compare::Call& call) {
  Side side;
  side.opened = TRY(compare::open_subject(subject.path, numerics, subject.options->threads));
  if (!side.opened.model) return unsupported("{}", side.opened.why_no_model);
  // The function for the most tokens shows the most at once.
  side.function = nullptr;
  for (const auto& function : side.opened.functions) {
    if (function->contract != nullptr) side.function = function.get();
  }
  call.function = side.function;
  const auto most = static_cast<size_t>(side.function->contract->method.tokens);
  call.tokens.assign(subject.tokens.begin(),
                     subject.tokens.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                  {most, kTokens, subject.tokens.size()})));
  call.last = call.used() - 1;
  const auto cache = TRY(generate::KvCache::create(*side.opened.model));
  side.feeds = compare::feeds_of(*side.opened.model, call, cache);
  return side;
}

}  // namespace

Status check_typed(Subject& subject, Report& report, Progress& progress) {
  const contract::Description* model = subject.model();
  if (model == nullptr) {
    report.does_not_apply(std::string(kNoLanguageModel));
    return {};
  }
  progress.begin("running in the file's types", 0);
  compare::Call call_typed, call_precise;
  const Side typed = TRY(side_of(subject, engine::Numerics::Typed, call_typed));
  const Side precise = TRY(side_of(subject, engine::Numerics::Precise, call_precise));
  std::vector<const mil::Value*> values;
  for (const auto& op : typed.function->function().ops) {
    for (const mil::Value* result : op->results) {
      if (compare::can_be_shown(*result)) values.push_back(result);
    }
  }
  const int64_t tokens = call_typed.used();
  uint64_t vanished_rows = 0;
  bool told_nan = false, told_overflow = false, told_vanished = false;
  for (const auto& group : compare::groups(values, kMostBytes)) {
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    std::vector<const mil::Value*> others;
    for (const mil::Value* value : group) {
      others.push_back(precise.function->function().find(value->name));
    }
    const size_t input = typed.function->contract->places.tokens;
    auto one = TRY(compare::Evaluator::create(typed.function->function(), group,
                                              {engine::Numerics::Typed, false, input}));
    auto two = TRY(compare::Evaluator::create(precise.function->function(), others,
                                              {engine::Numerics::Precise, false, input}));
    TRY(one.run(typed.feeds, tokens, *subject.pool));
    TRY(two.run(precise.feeds, tokens, *subject.pool));
    if (one.overflows().count > 0 && !told_overflow) {
      told_overflow = true;
      const mil::Op* op = op_named(typed.function->function(), one.overflows().first_op);
      report.find(
          op == nullptr ? one.overflows().first_op : typed.function->place(*op),
          fmt::format("is the first of {} results that overflow fp16", one.overflows().count));
    }
    for (size_t i = 0; i < group.size(); ++i) {
      if (!told_nan && has_nan(one.value(i))) {
        told_nan = true;
        report.find(typed.function->place(*group[i]->producer), "is the first result with NaN");
      }
      const int64_t rows = vanished(*group[i], one.value(i), two.value(i));
      vanished_rows += static_cast<uint64_t>(rows);
      if (rows == 0 || told_vanished) continue;
      told_vanished = true;
      report.find(typed.function->place(*group[i]->producer),
                  fmt::format("is the first result with rows that vanish, {} of them", rows));
    }
  }
  report.note(fmt::format("{} values of {} tokens through {}", values.size(), tokens,
                          typed.function->graph.name));
  return {};
}

}  // namespace diptych::verify
