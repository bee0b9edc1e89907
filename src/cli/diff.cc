// diptych diff: how two files, or two functions of a file, differ.

#include "compare/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/json.h"
#include "cli/command.h"
#include "cli/side_file.h"
#include "cli/terminal.h"
#include "compare/metadata.h"
#include "report/report.h"

namespace diptych::cli {

namespace {

struct DiffArguments {
  std::string a, b, html, numerics = "precise", against_numerics;
  double tolerance = 1e-3;
  int64_t most = 20;
  int threads = 0;
  bool json = false, structure = false;
};

// "model.pte#prefill": a file and one of its functions.
struct Named {
  std::string path, function;
};
Named named(const std::string& text) {
  const size_t at = text.rfind('#');
  if (at == text.npos) return {text, ""};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string percent(double relative) {
  if (std::isinf(relative)) return "beyond measure";
  return fmt::format("{:.3g} %", 100 * relative);
}

std::string what_of(const compare::FunctionDiff& d, size_t a, size_t b) {
  return fmt::format("{}, {} '{}'", d.a->place(*d.alignment.a.nodes[a].op),
                     d.alignment.b.nodes[b].type, d.alignment.b.nodes[b].result->name);
}

void add_structure(std::string& out, const compare::FunctionDiff& d, size_t most) {
  const compare::Alignment& al = d.alignment;
  out += fmt::format("{} beside {}: {} of {} operations have one of {} as counterpart{}\n",
                     one_line(d.a->graph.name), one_line(d.b->graph.name), al.aligned,
                     al.a.nodes.size(), al.b.nodes.size(), al.complete() ? ", all do" : "");
  Table table({"difference", "A", "B", "what"});
  size_t shown = 0;
  for (const compare::Difference& difference : al.differences) {
    if (shown++ == most) break;
    table.add({std::string(name(difference.kind)),
               difference.a == nullptr ? "-" : d.a->place(*difference.a),
               difference.b == nullptr ? "-" : d.b->place(*difference.b), difference.what});
  }
  if (!table.empty()) out += table.text();
  if (al.differences.size() > most) {
    out += fmt::format("and {} more\n", al.differences.size() - most);
  }
}

void add_weights(std::string& out, const compare::FunctionDiff& d, size_t most) {
  if (d.weights.empty()) {
    out += "weights: the same\n";
    return;
  }
  // By form: a file of one format beside one of another differs in all of them.
  struct Group {
    size_t count = 0;
    uint64_t bytes_a = 0, bytes_b = 0;
    double worst = 0;
    std::string name;
  };
  std::map<std::pair<std::string, std::string>, Group> groups;
  for (const compare::WeightDifference& weight : d.weights) {
    Group& group = groups[{weight.form_a, weight.form_b}];
    ++group.count;
    group.bytes_a += weight.bytes_a;
    group.bytes_b += weight.bytes_b;
    if (weight.relative >= group.worst) {
      group.worst = weight.relative;
      group.name = weight.name_a;
    }
  }
  Table table({"weights that differ", "A", "B", "bytes of A", "bytes of B", "worst", "which"});
  for (const auto& [forms, group] : groups) {
    if (most-- == 0) break;
    table.add({std::to_string(group.count), forms.first, forms.second,
               std::to_string(group.bytes_a), std::to_string(group.bytes_b), percent(group.worst),
               group.name});
  }
  out += table.text();
}

// A bar for each layer, as long as the error's logarithm from 1e-6 to 1.
void add_plot(std::string& out, const compare::FunctionDiff& d) {
  if (d.parting.by_layer.empty()) return;
  out += "relative error at the end of each layer, 1e-6 to 1:\n";
  for (const auto& [layer, error] : d.parting.by_layer) {
    const double level = std::clamp((std::log10(std::max(error, 1e-12)) + 6) / 6, 0.0, 1.0);
    out +=
        fmt::format("  {:>3}  {:<48} {}\n", layer,
                    std::string(static_cast<size_t>(std::lround(48 * level)), '#'), percent(error));
  }
}

void add_numbers(std::string& out, const compare::FunctionDiff& d) {
  if (!d.not_run.empty()) {
    out += fmt::format("numbers: not compared: {}\n", one_line(d.not_run));
    return;
  }
  const auto& errors = d.parting.errors;
  out += fmt::format("numbers: {} results compared at token {}\n", errors.size(), d.position);
  if (!d.parting.first) {
    out += "no result is further apart than the tolerance\n";
    return;
  }
  const auto tell_first = [&](std::string_view words, const compare::PairError& error) {
    const double explained = d.explained(error.a);
    out += fmt::format(
        "{}: {}: {}{}\n", words, one_line(what_of(d, error.a, error.b)),
        percent(error.deviation.relative),
        explained > 0 ? fmt::format(" (its weights differ by {})", percent(explained)) : "");
  };
  tell_first("first to part", *d.parting.first);
  if (d.first_unexplained) {
    tell_first("first that neither its weights nor its inputs explain", *d.first_unexplained);
  }
  std::vector<compare::PairError> worst = errors;
  std::stable_sort(worst.begin(), worst.end(), [](const auto& x, const auto& y) {
    return x.deviation.relative > y.deviation.relative;
  });
  worst.resize(std::min<size_t>(worst.size(), 10));
  Table table({"worst", "relative", "largest", "of norm"});
  for (const compare::PairError& error : worst) {
    table.add({what_of(d, error.a, error.b), percent(error.deviation.relative),
               fmt::format("{:.3g}", error.deviation.largest),
               fmt::format("{:.3g}", error.deviation.norm)});
  }
  out += table.text();
  add_plot(out, d);
}

Json to_json(const compare::FunctionDiff& d) {
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json("inf"); };
  Json json = {{"a", printable(d.a->graph.name)},
               {"b", printable(d.b->graph.name)},
               {"operations_a", d.alignment.a.nodes.size()},
               {"operations_b", d.alignment.b.nodes.size()},
               {"aligned", d.alignment.aligned},
               {"complete", d.alignment.complete()}};
  Json differences = Json::array();
  for (const compare::Difference& difference : d.alignment.differences) {
    Json row = {{"kind", name(difference.kind)}, {"what", printable(difference.what)}};
    if (difference.a != nullptr) row["a"] = printable(d.a->place(*difference.a));
    if (difference.b != nullptr) row["b"] = printable(d.b->place(*difference.b));
    differences.push_back(std::move(row));
  }
  json["differences"] = std::move(differences);
  Json weights = Json::array();
  for (const compare::WeightDifference& weight : d.weights) {
    weights.push_back({{"a", printable(weight.name_a)},
                       {"b", printable(weight.name_b)},
                       {"form_a", weight.form_a},
                       {"form_b", weight.form_b},
                       {"bytes_a", weight.bytes_a},
                       {"bytes_b", weight.bytes_b},
                       {"relative", number(weight.relative)}});
  }
  json["weights"] = std::move(weights);
  if (!d.not_run.empty()) {
    json["not_run"] = printable(d.not_run);
    return json;
  }
  const auto of_pair = [&](const compare::PairError& error) {
    return Json{{"a", printable(d.a->place(*d.alignment.a.nodes[error.a].op))},
                {"b", printable(d.b->place(*d.alignment.b.nodes[error.b].op))},
                {"relative", number(error.deviation.relative)},
                {"inherited", number(error.inherited)},
                {"largest", number(error.deviation.largest)}};
  };
  json["compared"] = d.parting.errors.size();
  json["position"] = d.position;
  if (d.parting.first) json["first"] = of_pair(*d.parting.first);
  if (d.first_unexplained) json["first_unexplained"] = of_pair(*d.first_unexplained);
  Json layers = Json::array();
  for (const auto& [layer, error] : d.parting.by_layer) {
    layers.push_back({{"layer", layer}, {"relative", number(error)}});
  }
  json["layers"] = std::move(layers);
  return json;
}

Json to_json(const std::vector<compare::MetadataDifference>& metadata,
             const std::vector<compare::FunctionDiff>& functions) {
  Json rows = Json::array(), pairs = Json::array();
  for (const compare::MetadataDifference& row : metadata) {
    rows.push_back(
        {{"name", printable(row.name)}, {"a", printable(row.a)}, {"b", printable(row.b)}});
  }
  for (const compare::FunctionDiff& found : functions) pairs.push_back(to_json(found));
  return {{"metadata", std::move(rows)}, {"functions", std::move(pairs)}};
}

// What the files say of themselves, where it differs.
void add_metadata(std::string& out, const std::vector<compare::MetadataDifference>& rows) {
  Table table({"metadata", "A", "B"});
  for (const compare::MetadataDifference& row : rows) {
    table.add({row.name, shortened(row.a, 60), shortened(row.b, 60)});
  }
  out += (table.empty() ? "metadata: the same\n" : table.text()) + "\n";
}

Status run_diff(const DiffArguments& arguments) {
  stop_on_interrupt();
  const Named a = named(arguments.a), b = named(arguments.b);
  compare::DiffOptions options;
  options.numbers = options.weights = !arguments.structure;
  options.tolerance = arguments.tolerance;
  options.numerics_a =
      TRY(as_usage(within("--numerics", engine::numerics_from_name(arguments.numerics))));
  options.numerics_b = options.numerics_a;
  if (!arguments.against_numerics.empty()) {
    options.numerics_b = TRY(as_usage(
        within("--against_numerics", engine::numerics_from_name(arguments.against_numerics))));
  }
  const auto one = TRY(compare::open_subject(a.path, arguments.threads));
  std::optional<compare::Subject> other;
  if (a.path != b.path) other = TRY(compare::open_subject(b.path, arguments.threads));
  const compare::Subject& two = other ? *other : one;
  ThreadPool pool(arguments.threads);
  ProgressBar progress;
  const auto functions = TRY(as_usage(compare::pairs(one, a.function, two, b.function)));
  auto page = TRY(SideFile::create(arguments.html));
  const auto metadata = compare::metadata_differences(one, two);
  std::vector<compare::FunctionDiff> diffs;
  for (const auto& [x, y] : functions) {
    diffs.push_back(TRY(compare::diff(*x, *y, options, pool, progress)));
    progress.finish();
  }
  TRY(page.write([&] { return report::diff_page(arguments.a, arguments.b, metadata, diffs); }));
  if (arguments.json) return write_results(dump_json(to_json(metadata, diffs), 2) + "\n");
  std::string out;
  if (a.path != b.path) add_metadata(out, metadata);
  for (const compare::FunctionDiff& found : diffs) {
    const auto most = static_cast<size_t>(arguments.most);
    add_structure(out, found, most);
    if (options.weights) add_weights(out, found, most);
    if (options.numbers) add_numbers(out, found);
    out += "\n";
  }
  return write_results(out);
}

}  // namespace

Action setup_diff(Parser& parser) {
  auto arguments = std::make_shared<DiffArguments>();
  DiffArguments& a = *arguments;
  parser.add_option("a", a.a, "A .pte or Core ML model, or FILE#FUNCTION")->required();
  parser.add_option("b", a.b, "The one to compare with")->required();
  parser.add_option("--numerics", a.numerics, "How both compute: precise, typed or fast")
      ->show_default();
  parser.add_option("--against_numerics", a.against_numerics, "How B computes, where that differs");
  parser
      .add_option("--tolerance", a.tolerance,
                  "Relative error from which results count as apart, in a result's norm")
      ->check(number_between(0, 1))
      ->show_default();
  parser.add_option("--most", a.most, "Rows of a table at most")
      ->check(integer_between(1, 100000))
      ->show_default();
  parser.add_flag("--structure", a.structure, "Operations and metadata alone: nothing is computed");
  parser.add_option("--html", a.html, "Also write the result as one page of HTML");
  parser.add_flag("--json", a.json, "One JSON object: metadata, and each pair of functions");
  add_threads_option(parser, a.threads);
  return [arguments] { return run_diff(*arguments); };
}

}  // namespace diptych::cli
