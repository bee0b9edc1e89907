#include "lint/lint.h"

#include <algorithm>
#include <unordered_set>

#include "lint/rule.h"
#include "mil/params.h"

namespace diptych::lint {

namespace {

Finding finding(const Rule& rule, std::string place, const Sites& sites) {
  Finding result;
  result.rule = &rule;
  result.place = std::move(place);
  result.first = sites.front().what;
  result.detail = sites.front().detail;
  result.count = sites.size();
  for (const Site& site : sites) result.bytes += site.bytes;
  return result;
}

}  // namespace

std::string_view name(Harm harm) {
  switch (harm) {
    case Harm::Refused:
      return "refused";
    case Harm::Leaves:
      return "leaves";
    case Harm::Slow:
      return "slow";
    case Harm::Unsafe:
      return "unsafe";
  }
  return "";
}

std::vector<Finding> lint(const Subject& subject) {
  std::vector<Finding> findings;
  for (const Row& row : rows()) {
    if (row.whole == nullptr) continue;
    Sites sites;
    row.whole(subject, nullptr, sites);
    if (!sites.empty()) findings.push_back(finding(row.rule, "", sites));
  }
  for (const Package& package : subject.packages) {
    for (const Row& row : rows()) {
      if (row.whole == nullptr) continue;
      Sites sites;
      row.whole(subject, &package, sites);
      if (!sites.empty()) findings.push_back(finding(row.rule, package.name, sites));
    }
    for (const auto& function : package.program->functions) {
      for (const Row& row : rows()) {
        if (row.look == nullptr) continue;
        Sites sites;
        row.look(subject, *function, sites);
        if (sites.empty()) continue;
        Finding found =
            finding(row.rule, fmt::format("{}, function {}", package.name, function->name), sites);
        if (sites.front().op != nullptr) found.layer = layer_near(*function, *sites.front().op);
        findings.push_back(std::move(found));
      }
    }
  }
  return findings;
}

Site at(const mil::Op& op, uint64_t bytes, std::string detail) {
  const std::string result = op.results.empty() ? "" : op.results.front()->name;
  return {&op, fmt::format("{} '{}'", op.type, result), bytes, std::move(detail)};
}

Site at(const mil::Value& value, uint64_t bytes, std::string detail) {
  const char* kind = value.kind == mil::Value::Kind::Input      ? "input"
                     : value.kind == mil::Value::Kind::Constant ? "constant"
                                                                : "result";
  return {value.producer, fmt::format("{} '{}'", kind, value.name), bytes, std::move(detail)};
}

uint64_t bytes_of(const mil::Value& value) { return packed_size(value.type).value_or(0); }

uint64_t padded_bytes(const TensorType& type) {
  if (type.shape.empty() || bit_width(type.dtype) == 0) return 0;
  Shape outer(type.shape.begin(), type.shape.end() - 1);
  const uint64_t rows = element_count(outer).value_or(0);
  const uint64_t width = (static_cast<uint64_t>(std::max<int64_t>(type.shape.back(), 0)) *
                              static_cast<uint64_t>(bit_width(type.dtype)) +
                          7) /
                         8;
  return rows * ((width + kWidthBytes - 1) / kWidthBytes * kWidthBytes);
}

bool is_weight(const mil::Value& value) {
  return value.is_constant() || mil::is_constant_expression(value);
}

std::vector<const mil::Op*> computed(const mil::Function& function) {
  std::vector<const mil::Op*> ops;
  for (const auto& op : function.ops) {
    if (!mil::is_constant_expression(*op) && !op->results.empty()) ops.push_back(op.get());
  }
  return ops;
}

bool is_projection(const mil::Op& op) {
  if (op.type == "linear" || op.type == "conv") return true;
  if (op.type != "matmul") return false;
  const mil::Value* const y = op.operand("y");
  return y != nullptr && is_weight(*y);
}

bool has_projections(const mil::Function& function) {
  return std::any_of(function.ops.begin(), function.ops.end(),
                     [](const auto& op) { return is_projection(*op); });
}

std::vector<int64_t> ints_of(const mil::Op& op, std::string_view param) {
  return mil::ints_param(op, param, {}).value_or(std::vector<int64_t>());
}

size_t uses(const mil::Function& function, const mil::Value& value) {
  size_t count = 0;
  for (const auto& op : function.ops) {
    for (const mil::Operand& operand : op->operands) {
      count +=
          static_cast<size_t>(std::count(operand.values.begin(), operand.values.end(), &value));
    }
  }
  return count +
         static_cast<size_t>(std::count(function.outputs.begin(), function.outputs.end(), &value));
}

}  // namespace diptych::lint
