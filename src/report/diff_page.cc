// How two files differ, as one page.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/document.h"
#include "report/report.h"
#include "report/svg.h"

namespace diptych::report {

namespace {

using compare::FunctionDiff;

constexpr double kHeight = 220, kLeft = 60, kBottom = 24;
constexpr size_t kMostDiffRows = 200, kWorst = 10;
// The scale of errors along layers: powers of ten.
constexpr double kLow = -6, kHigh = 0;

std::string metadata_table(const std::vector<compare::MetadataDifference>& metadata) {
  if (metadata.empty()) return "<p>The same.</p>\n";
  std::vector<std::vector<std::string>> rows = {{"metadata", "A", "B"}};
  for (const auto& row : metadata) rows.push_back({row.name, row.a, row.b});
  return table(rows);
}

std::string structure(const FunctionDiff& diff) {
  const compare::Alignment& alignment = diff.alignment;
  std::string out = fmt::format("<p>{} of {} operations have one of {} as counterpart{}.</p>\n",
                                alignment.aligned, alignment.a.nodes.size(),
                                alignment.b.nodes.size(), alignment.complete() ? ", all do" : "");
  if (alignment.differences.empty()) return out;
  std::vector<std::vector<std::string>> rows = {{"difference", "A", "B", "what"}};
  for (const compare::Difference& difference : alignment.differences) {
    if (rows.size() > kMostDiffRows) break;
    rows.push_back({std::string(name(difference.kind)),
                    difference.a == nullptr ? "-" : diff.a->place(*difference.a),
                    difference.b == nullptr ? "-" : diff.b->place(*difference.b), difference.what});
  }
  out += table(rows);
  if (alignment.differences.size() > kMostDiffRows) {
    out += fmt::format("<p>And {} more.</p>\n", alignment.differences.size() - kMostDiffRows);
  }
  return out;
}

std::string weights_table(const FunctionDiff& diff) {
  if (diff.weights.empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"weight that differs", "A", "B", "bytes of A", "bytes of B", "error"}};
  for (const compare::WeightDifference& weight : diff.weights) {
    if (rows.size() > kMostDiffRows) break;
    rows.push_back({weight.name_a, weight.form_a, weight.form_b, std::to_string(weight.bytes_a),
                    std::to_string(weight.bytes_b), percent(weight.relative)});
  }
  return fmt::format("<details><summary>{} weights differ</summary>{}</details>\n",
                     diff.weights.size(), table(rows));
}

std::string along_layers(const FunctionDiff& diff) {
  const auto& layers = diff.parting.by_layer;
  if (layers.size() < 2) return "";
  const auto y_of = [](double error) {
    const double at = std::clamp(std::log10(std::max(error, 1e-12)), kLow, kHigh);
    return (kHigh - at) / (kHigh - kLow) * (kHeight - kBottom - 8) + 8;
  };
  std::string body, points;
  for (double power = kLow; power <= kHigh; power += 2) {
    const double y = y_of(std::pow(10, power));
    body += label(kLeft - 8, y + 4, fmt::format("1e{:.0f}", power), "end") +
            fmt::format(
                "<line class=\"line\" x1=\"{0:.0f}\" x2=\"{1:.0f}\" y1=\"{2:.1f}\" "
                "y2=\"{2:.1f}\" stroke-opacity=\".2\"/>",
                kLeft, kWidth, y);
  }
  const double step = (kWidth - kLeft - 20) / static_cast<double>(layers.size() - 1);
  for (size_t i = 0; i < layers.size(); ++i) {
    const double x = kLeft + 4 + static_cast<double>(i) * step, y = y_of(layers[i].second);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    body += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" class=\"c0\"><title>{}</title></circle>", x, y,
        escaped(fmt::format("layer {}: {}", layers[i].first, percent(layers[i].second))));
  }
  body += fmt::format("<polyline class=\"line\" points=\"{}\"/>", points) +
          label(kLeft, kHeight - 6, fmt::format("layer {}", layers.front().first)) +
          label(kWidth - 20, kHeight - 6, fmt::format("layer {}", layers.back().first), "end");
  return figure(
      "Relative error at the end of each layer",
      fmt::format("From {} in layer {} to {} in layer {}", percent(layers.front().second),
                  layers.front().first, percent(layers.back().second), layers.back().first),
      kWidth, kHeight, body);
}

std::string numbers(const FunctionDiff& diff) {
  if (!diff.not_run.empty()) {
    return fmt::format("<p>Numbers were not compared: {}.</p>\n", escaped(diff.not_run));
  }
  const auto place = [&](const compare::PairError& error) {
    return diff.a->place(*diff.alignment.a.nodes[error.a].op);
  };
  std::string out = fmt::format("<p>{} results compared at token {}.</p>\n",
                                diff.parting.errors.size(), diff.position);
  if (!diff.parting.first) return out + "<p>None is further apart than the tolerance.</p>\n";
  std::vector<std::vector<std::string>> rows = {
      {"result", "error", "largest", "of norm", "its weights explain"}};
  const auto add = [&](const std::string& what, const compare::PairError& error) {
    rows.push_back({what, percent(error.deviation.relative),
                    fmt::format("{:.3g}", error.deviation.largest),
                    fmt::format("{:.3g}", error.deviation.norm), percent(diff.explained(error.a))});
  };
  add("first to part: " + place(*diff.parting.first), *diff.parting.first);
  if (diff.first_unexplained) {
    add("first that neither weights nor inputs explain: " + place(*diff.first_unexplained),
        *diff.first_unexplained);
  }
  std::vector<compare::PairError> worst = diff.parting.errors;
  std::stable_sort(worst.begin(), worst.end(), [](const auto& x, const auto& y) {
    return x.deviation.relative > y.deviation.relative;
  });
  worst.resize(std::min(worst.size(), kWorst));
  for (const compare::PairError& error : worst) add(place(error), error);
  return out + along_layers(diff) + table(rows);
}

}  // namespace

std::string diff_page(const std::string& a, const std::string& b,
                      const std::vector<compare::MetadataDifference>& metadata,
                      const std::vector<FunctionDiff>& functions) {
  Document document(fmt::format("{} beside {}", a, b), fmt::format("A is {}, B is {}.", a, b));
  document.section("Metadata", metadata_table(metadata));
  for (const FunctionDiff& diff : functions) {
    document.section(fmt::format("{} beside {}", diff.a->graph.name, diff.b->graph.name),
                     structure(diff) + weights_table(diff) + numbers(diff));
  }
  return document.html();
}

}  // namespace diptych::report
