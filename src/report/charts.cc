#include "report/charts.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>

#include "base/human.h"
#include "base/printable.h"
#include "compare/weights.h"
#include "report/svg.h"

namespace diptych::report {

namespace {

constexpr size_t kMostTensors = 400, kMostRows = 30;
constexpr size_t kColours = 8;

// A colour for each name, in the order in which they come.
class Colours {
 public:
  std::string of(const std::string& name) {
    const auto [at, is_new] = numbers_.emplace(name, names_.size());
    if (is_new) names_.push_back(name);
    return fmt::format("c{}", at->second % kColours);
  }
  std::string legend() const {
    std::string out = "<p class=\"legend\">";
    for (size_t i = 0; i < names_.size(); ++i) {
      out += fmt::format("<span><i class=\"c{}\"></i>{}</span> ", i % kColours, escaped(names_[i]));
    }
    return out + "</p>\n";
  }

 private:
  std::map<std::string, size_t> numbers_;
  std::vector<std::string> names_;
};

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

// Sums of bytes are exact in a double up to 2^53.
std::string human(double bytes) { return human_bytes(static_cast<uint64_t>(bytes)); }

// What tells a weight from others, as far as a small box has room for it.
std::string short_name(std::string name) {
  for (const std::string_view part : {"_dequantized", "_data", "_weight_0", "_weight", "layers_"}) {
    const size_t at = name.find(part);
    if (at != name.npos && name.size() > part.size()) name.erase(at, part.size());
  }
  return name;
}

// Bars of parts, one below the other.
struct Bar {
  std::string name;
  std::vector<std::pair<std::string, double>> parts;  // what, and how much

  double sum() const {
    double total = 0;
    for (const auto& part : parts) total += part.second;
    return total;
  }
};

std::string bars(std::string_view title, std::string_view alternative, const std::vector<Bar>& rows,
                 Colours& colours, const std::function<std::string(double)>& words) {
  constexpr double kRow = 20, kNames = 170, kNumbers = 110;
  double most = 0;
  for (const Bar& row : rows) most = std::max(most, row.sum());
  if (!(most > 0)) return "";
  std::string body;
  double y = 0;
  for (const Bar& row : rows) {
    body += label(kNames - 8, y + 14, shortened(row.name, 26), "end");
    double x = kNames;
    for (const auto& [what, amount] : row.parts) {
      const double width = amount / most * (kWidth - kNames - kNumbers);
      body += box({x, y + 2, width, kRow - 4}, colours.of(what),
                  fmt::format("{}: {}, {}", row.name, what, words(amount)));
      x += width;
    }
    body += label(x + 6, y + 14, words(row.sum()));
    y += kRow;
  }
  return figure(title, alternative, kWidth, y + 4, body);
}

}  // namespace

std::string bytes_by_tensor(const Contents& contents) {
  const auto& weights = contents.sharing.weights;
  std::vector<double> sizes;
  double rest = 0;
  for (const tools::FileWeight& weight : weights) {
    if (weight.bytes == 0) continue;
    if (sizes.size() < kMostTensors) {
      sizes.push_back(static_cast<double>(weight.bytes));
    } else {
      rest += static_cast<double>(weight.bytes);
    }
  }
  if (sizes.empty()) return "";
  constexpr double kHeight = 420;
  Colours colours;
  std::string body;
  const auto rects = treemap(sizes, {0, 0, kWidth, kHeight});
  for (size_t i = 0; i < rects.size(); ++i) {
    const tools::FileWeight& weight = weights[i];
    const std::string type = to_string(weight.type);
    body += box(rects[i], colours.of(std::string(name(weight.type.dtype))),
                fmt::format("{}, {}, {}, package {}, used by {}", weight.name, type,
                            human_bytes(weight.bytes), weight.package, joined(weight.functions)));
    if (rects[i].width > 90 && rects[i].height > 16) {
      const auto letters = static_cast<size_t>(rects[i].width / 7);
      body += label(rects[i].x + 4, rects[i].y + 13, shortened(short_name(weight.name), letters));
    }
  }
  std::vector<std::vector<std::string>> rows = {{"tensor", "type", "bytes", "functions"}};
  for (size_t i = 0; i < std::min(kMostRows, weights.size()); ++i) {
    rows.push_back({weights[i].name, to_string(weights[i].type), std::to_string(weights[i].bytes),
                    joined(weights[i].functions)});
  }
  return figure("Bytes by tensor, each stored once",
                fmt::format("Treemap of {} tensors, {} together; the table below lists the largest",
                            weights.size(), human_bytes(contents.sharing.bytes)),
                kWidth, kHeight, body) +
         colours.legend() +
         (rest > 0 ? fmt::format("<p>Smaller tensors, not shown: {}.</p>\n", human(rest)) : "") +
         "<details><summary>The largest tensors</summary>" + table(rows) + "</details>\n";
}

std::string sharing_between_functions(const Contents& contents) {
  std::map<size_t, std::map<std::string, double>> packages;
  for (const tools::FileWeight& weight : contents.sharing.weights) {
    packages[weight.package][joined(weight.functions)] += static_cast<double>(weight.bytes);
  }
  std::vector<Bar> rows;
  for (const auto& [package, groups] : packages) {
    Bar& bar = rows.emplace_back();
    bar.name = fmt::format("package {}", package);
    bar.parts.assign(groups.begin(), groups.end());
  }
  Colours colours;
  std::string out = bars(
      "Weights by the functions that use them",
      fmt::format("{} of {} are used by several functions",
                  human_bytes(contents.sharing.shared_bytes), human_bytes(contents.sharing.bytes)),
      rows, colours, human);
  std::vector<std::vector<std::string>> reasons = {
      {"weight", "bytes", "functions", "why", "beside"}};
  for (const tools::FileWeight& weight : contents.sharing.weights) {
    if (weight.why == tools::Unshared::No || reasons.size() > kMostRows) continue;
    reasons.push_back({weight.name, std::to_string(weight.bytes), joined(weight.functions),
                       std::string(name(weight.why)), weight.twin});
  }
  out += colours.legend();
  return out + (reasons.size() > 1 ? "<h3>Not shared</h3>" + table(reasons) : "");
}

std::string formats_by_layer(const Contents& contents) {
  std::map<std::string, std::map<std::string, double>> layers;
  std::vector<std::string> order;
  std::set<const mil::Value*> seen;
  for (const auto& function : contents.subject.functions) {
    if (function != contents.subject.functions.front() && function->contract != nullptr) continue;
    const compare::Canonical graph = compare::canonical(*function);
    for (const compare::Node& node : graph.nodes) {
      const auto layer = function->layers.of(*node.op);
      const std::string name = layer ? fmt::format("layer {}", *layer) : "outside of layers";
      for (const compare::WeightOf& weight : compare::weights_of(node)) {
        if (layers.count(name) == 0) order.push_back(name);
        for (const mil::Value* piece : weight.pieces) {
          if (!seen.insert(piece).second) continue;
          layers[name][compare::form_of(*piece)] +=
              static_cast<double>(compare::stored_bytes(*piece));
        }
      }
    }
  }
  std::vector<Bar> rows;
  for (const std::string& name : order) {
    rows.push_back({name, {layers[name].begin(), layers[name].end()}});
  }
  Colours colours;
  const std::string out = bars("Formats of weights by layer", "Bytes of each format in each layer",
                               rows, colours, human);
  return out + colours.legend();
}

std::string operations(const Contents& contents) {
  std::map<std::string, std::map<std::string, double>> types;
  for (const tools::Package& package : contents.inspection.packages) {
    for (const tools::FunctionSummary& function : package.functions) {
      for (const auto& [type, count] : function.ops) {
        if (type != "const") types[type][function.function->name] += static_cast<double>(count);
      }
    }
  }
  std::vector<Bar> rows;
  for (const auto& [type, functions] : types)
    rows.push_back({type, {functions.begin(), functions.end()}});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Bar& a, const Bar& b) { return a.sum() > b.sum(); });
  rows.resize(std::min(rows.size(), kMostRows));
  Colours colours;
  const std::string out = bars("Operations by type and function", "Numbers of operations", rows,
                               colours, [](double count) { return fmt::format("{:.0f}", count); });
  return out + colours.legend();
}

std::string memory_over_a_step(const compare::Function& function) {
  const mil::Function& graph = function.function();
  std::unordered_map<const mil::Value*, size_t> last;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    for (const mil::Operand& operand : graph.ops[i]->operands) {
      for (const mil::Value* value : operand.values) last[value] = i;
    }
  }
  for (const mil::Value* output : graph.outputs) last[output] = graph.ops.size();
  std::vector<double> released(graph.ops.size() + 1), levels;
  double live = 0, most = 0;
  size_t peak = 0;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const mil::Op& op = *graph.ops[i];
    if (!mil::is_constant_expression(op)) {
      for (const mil::Value* result : op.results) {
        const auto bytes = static_cast<double>(packed_size(result->type).value_or(0));
        const auto until = last.find(result);
        live += bytes;
        released[until == last.end() ? i : std::min(until->second, graph.ops.size())] += bytes;
      }
    }
    levels.push_back(live);
    if (live > most) {
      most = live;
      peak = i;
    }
    live -= released[i];
  }
  if (!(most > 0)) return "";
  constexpr double kHeight = 150;
  std::string points = fmt::format("0,{:.0f} ", kHeight);
  for (size_t i = 0; i < levels.size(); ++i) {
    points += fmt::format("{:.1f},{:.1f} ",
                          kWidth * static_cast<double>(i + 1) / static_cast<double>(levels.size()),
                          kHeight - levels[i] / most * (kHeight - 20));
  }
  points += fmt::format("{:.0f},{:.0f}", kWidth, kHeight);
  const std::string words =
      fmt::format("{} at most, at {}", human(most), function.place(*graph.ops[peak]));
  return figure(fmt::format("Values alive over a call of {}", function.graph.name), words, kWidth,
                kHeight,
                fmt::format("<polygon class=\"c0\" points=\"{}\"/>", points) + label(6, 14, words));
}

std::string roofline(const TimedStep& step) {
  const auto lines = measure::by_op(step.profile);
  constexpr double kHeight = 300, kLeft = 60, kBottom = 30;
  // Logarithms: operations per byte from 1/64 to 1024, operations per second down to a millionth.
  const double low_x = -6, high_x = 10;
  const double high_y = std::log2(std::max(step.operations_per_second, 1.0)) + 1,
               low_y = high_y - 16;
  const auto x_of = [&](double intensity) {
    const double at = std::clamp(std::log2(std::max(intensity, 1e-9)), low_x, high_x);
    return kLeft + (at - low_x) / (high_x - low_x) * (kWidth - kLeft - 20);
  };
  const auto y_of = [&](double rate) {
    const double at = std::clamp(std::log2(std::max(rate, 1e-9)), low_y, high_y);
    return (high_y - at) / (high_y - low_y) * (kHeight - kBottom);
  };
  const double knee = step.operations_per_second / std::max(step.read_bytes_per_second, 1.0);
  std::string body = fmt::format(
      "<polyline class=\"line\" points=\"{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}\"/>",
      x_of(std::exp2(low_x)), y_of(std::exp2(low_x) * step.read_bytes_per_second), x_of(knee),
      y_of(step.operations_per_second), x_of(std::exp2(high_x)), y_of(step.operations_per_second));
  body += label(kLeft + 4, kHeight - 6, "operations per byte of weights, 1/64 to 1024");
  body += label(4, 12, fmt::format("{:.0f} GFLOP/s", step.operations_per_second / 1e9));
  std::vector<std::vector<std::string>> rows = {
      {"function", "operation", "ms a token", "share %", "GB/s", "GFLOP/s", "of the roof %"}};
  Colours colours;
  for (const measure::ProfileLine& line : lines) {
    if (!(line.seconds > 0)) continue;
    const double operations = 2 * static_cast<double>(line.multiply_adds);
    const auto bytes = static_cast<double>(line.weight_bytes);
    const double rate = operations / line.seconds, reads = bytes / line.seconds;
    const double roof = std::max(operations / std::max(step.operations_per_second, 1.0),
                                 bytes / std::max(step.read_bytes_per_second, 1.0));
    rows.push_back(
        {line.function, line.op,
         fmt::format("{:.3f}", 1e3 * line.seconds / static_cast<double>(step.profile.tokens)),
         fmt::format("{:.1f}", 100 * line.seconds / step.profile.seconds),
         fmt::format("{:.2f}", reads / 1e9), fmt::format("{:.2f}", rate / 1e9),
         roof > 0 ? fmt::format("{:.0f}", 100 * roof / line.seconds) : "-"});
    if (operations == 0 || bytes == 0) continue;
    const double radius = 3 + 12 * std::sqrt(line.seconds / step.profile.seconds);
    body += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" class=\"{}\"><title>{}</title></circle>",
        x_of(operations / bytes), y_of(rate), radius, colours.of(line.op),
        escaped(fmt::format("{} in {}: {:.2f} GFLOP/s, {:.2f} GB/s", line.op, line.function,
                            rate / 1e9, reads / 1e9)));
  }
  return figure(
             "Time of decoding on this machine's roofline",
             fmt::format("{:.1f} GB/s of memory reads, {:.0f} GFLOP/s; circles are operations, as "
                         "large as their share of the time",
                         step.read_bytes_per_second / 1e9, step.operations_per_second / 1e9),
             kWidth, kHeight, body) +
         colours.legend() + table(rows);
}

}  // namespace diptych::report
