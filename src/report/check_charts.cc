// What checks found, and how far weights are from their source's.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/printable.h"
#include "report/charts.h"
#include "report/svg.h"

namespace diptych::report {

namespace {

constexpr double kNames = 120, kRow = 20, kHeads = 96;
// Errors from which cells have no colour, and at which they have all of it.
constexpr double kLeast = 1e-4, kMost = 1;

// A weight's name without the layer that it is of, so that those of one kind in all layers are one
// column: "layers_3_attention_wq_weight" is "attention_wq".
std::string kind_of(const verify::WeightError& error) {
  std::string name = error.name;
  if (error.layer) {
    const std::string number = fmt::format("_{}_", *error.layer);
    const size_t at = name.find(number);
    if (at != name.npos) name.erase(0, at + number.size());
  }
  for (const std::string_view part : {"_dequantized", "_data", "_weight_0", "_weight"}) {
    const size_t at = name.find(part);
    if (at != name.npos && at > 0) name.erase(at);
  }
  return name;
}

}  // namespace

std::string checks(const verify::Verification& verification) {
  std::vector<std::vector<std::string>> rows = {{"check", "outcome", "what"}};
  std::vector<std::vector<std::string>> found = {{"check", "where", "what"}};
  for (const verify::CheckResult& check : verification.checks) {
    rows.push_back({std::string(check.check), std::string(name(check.outcome)),
                    check.note.empty() ? std::string(check.what) : check.note});
    for (const verify::Finding& finding : check.findings) {
      found.push_back({std::string(check.check), finding.place, finding.what});
    }
  }
  return table(rows) + (found.size() > 1 ? table(found) : "");
}

std::string errors_by_layer(const std::vector<verify::WeightError>& weights) {
  // Rows are layers, that of all others the last; columns are kinds of weights as they come.
  std::map<size_t, std::map<std::string, const verify::WeightError*>> cells;
  std::vector<std::string> kinds;
  for (const verify::WeightError& error : weights) {
    const std::string kind = kind_of(error);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
    const verify::WeightError*& cell = cells[error.layer.value_or(SIZE_MAX)][kind];
    if (cell == nullptr || cell->relative < error.relative) cell = &error;
  }
  if (cells.empty()) return "";
  const double width = std::min(80.0, (kWidth - kNames) / static_cast<double>(kinds.size()));
  std::string body;
  for (size_t column = 0; column < kinds.size(); ++column) {
    const double x = kNames + width * (static_cast<double>(column) + 0.5) + 4;
    body += fmt::format("<text transform=\"translate({:.1f} {:.0f}) rotate(-60)\">{}</text>", x,
                        kHeads - 4, escaped(shortened(kinds[column], 18)));
  }
  std::vector<std::vector<std::string>> rows = {{"layer", "worst weight", "format", "error"}};
  double y = kHeads;
  for (const auto& [layer, row] : cells) {
    const std::string name = layer == SIZE_MAX ? "outside" : fmt::format("layer {}", layer);
    body += label(kNames - 8, y + 14, name, "end");
    const verify::WeightError* worst = nullptr;
    for (const auto& [kind, error] : row) {
      if (worst == nullptr || worst->relative < error->relative) worst = error;
      const auto column =
          static_cast<double>(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin());
      const double level = std::clamp(
          std::log(std::max(error->relative, 1e-12) / kLeast) / std::log(kMost / kLeast), 0.0, 1.0);
      body += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.0f}\" class=\"c1\" "
          "fill-opacity=\"{:.2f}\"><title>{}</title></rect>",
          kNames + column * width, y, width, kRow, level,
          escaped(
              fmt::format("{}, {}: {}, {}", name, kind, error->form, percent(error->relative))));
    }
    rows.push_back({name, worst->name, worst->form, percent(worst->relative)});
    y += kRow;
  }
  return figure("Distance of each weight from the source's",
                fmt::format("{} weights in {} rows of layers; the table below has the worst of "
                            "each. Cells are clear up to 0.01 % and full at 100 %",
                            weights.size(), cells.size()),
                kWidth, y + 4, body) +
         "<details><summary>The worst weight of each layer</summary>" + table(rows) +
         "</details>\n";
}

}  // namespace diptych::report
