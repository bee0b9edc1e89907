// diptych inspect: what a .pte holds, as tables, as JSON, or the text of its functions.

#include "tools/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/human.h"
#include "base/json.h"
#include "cli/byte_count.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "mil/text.h"
#include "tools/inspect_json.h"
#include "tools/sharing.h"

namespace diptych::cli {

namespace {

struct InspectArguments {
  std::string model, method, function;
  std::optional<size_t> partition;
  std::string max_unshared;
  bool json = false, mil = false, sharing = false;
};

// --- Tables ---

std::string number(uint64_t value) { return fmt::format("{}", value); }

// A heading and a table, or nothing when the table has no rows.
void add_section(std::string& out, std::string_view heading, const Table& table) {
  if (!table.empty()) out += fmt::format("\n{}\n{}", one_line(heading), table.text());
}

// A Core ML model: what it takes and gives, and whether it runs here.
void add_model(std::string& out, const std::string& path, const tools::Inspection& inspection) {
  const tools::Package& package = inspection.packages.front();
  out +=
      fmt::format("{}: {} ({} bytes)", one_line(path), human_bytes(package.bytes), package.bytes);
  if (package.model == nullptr) {
    out += '\n';
    return;
  }
  const coreml::Model& model = package.model->model;
  out += fmt::format(", Core ML model, specification {}, {} functions\n",
                     model.specification_version, package.functions.size());
  for (const tools::FunctionSummary& function : package.functions) {
    const std::string& name = function.function->name;
    Table ports({"", "name", "type"});
    for (const auto& feature : function.inputs) {
      ports.add({"in", feature.name, feature.type.text()});
    }
    for (const auto& feature : function.outputs) {
      ports.add({"out", feature.name, feature.type.text()});
    }
    add_section(
        out,
        fmt::format("Function {}{}", name, name == model.default_function ? ", the default" : ""),
        ports);
    if (function.problems.empty()) {
      out += fmt::format("runs here, with {} for values that it computes",
                         human_bytes(function.arena_bytes));
      if (function.unpacked_bytes > 0) {
        out += fmt::format(" and {} for weights that it unpacks",
                           human_bytes(function.unpacked_bytes));
      }
      out += '\n';
      continue;
    }
    constexpr size_t kShown = 20;
    out += "cannot run here:\n";
    for (size_t i = 0; i < std::min(kShown, function.problems.size()); ++i) {
      out += fmt::format("  {}\n", one_line(function.problems[i]));
    }
    if (function.problems.size() > kShown) {
      out += fmt::format("  and {} more\n", function.problems.size() - kShown);
    }
  }
}

void add_file(std::string& out, const std::string& path, const tools::Inspection& inspection) {
  const pte::Layout& layout = inspection.layout;
  out += fmt::format(
      "{}: {} ({} bytes), program {} bytes, {} segments, {} methods, {} metadata values\n",
      one_line(path), human_bytes(layout.file_size), layout.file_size, layout.program_size,
      layout.segments.size(), inspection.methods.size(), inspection.metadata.size());
  Table segments({"segment", "offset", "bytes"});
  for (size_t i = 0; i < layout.segments.size(); ++i) {
    segments.add({number(i), number(layout.segments[i].offset), number(layout.segments[i].size)});
  }
  add_section(out, "Segments", segments);
  Table named_data({"key", "bytes"});
  for (const auto& entry : inspection.named_data) {
    named_data.add({entry.key, number(entry.bytes)});
  }
  add_section(out, "Named data", named_data);
}

void add_methods(std::string& out, const tools::Inspection& inspection) {
  Table methods({"method", "inputs", "outputs", "partitions", "delegate calls", "kernel calls"});
  for (const tools::MethodSummary& method : inspection.methods) {
    methods.add({method.name, number(method.inputs.size()), number(method.outputs.size()),
                 number(method.partitions.size()), number(method.instructions.delegate_calls),
                 number(method.instructions.kernel_calls)});
  }
  add_section(out, "Methods", methods);
}

void add_ports(std::string& out, const tools::MethodSummary& method) {
  Table ports({"", "index", "type", "name"});
  const auto add = [&](const char* side, const std::vector<tools::Port>& list) {
    for (size_t i = 0; i < list.size(); ++i) {
      ports.add({side, number(i), list[i].type.text(), list[i].name});
    }
  };
  add("in", method.inputs);
  add("out", method.outputs);
  add_section(out, fmt::format("Inputs and outputs of {}", method.name), ports);
  Table operators({"operator", "calls"});
  for (const auto& op : method.operators) operators.add({op.name, number(op.calls)});
  add_section(out, fmt::format("Operators of {}", method.name), operators);
}

void add_partitions(std::string& out, const tools::Inspection& inspection) {
  Table partitions({"method", "partition", "backend", "payload", "bytes", "package", "function",
                    "inputs", "outputs"});
  Table specs({"partitions", "key", "value"});
  // Specs are mostly the same everywhere: those of each list are shown once.
  std::vector<std::pair<const std::vector<pte::CompileSpec>*, std::string>> lists;
  for (const tools::MethodSummary& method : inspection.methods) {
    for (const tools::Partition& p : method.partitions) {
      const bool known = p.function != nullptr;
      partitions.add({method.name, number(p.index), p.backend, std::string(name(p.payload)),
                      number(p.payload_bytes), p.package ? number(*p.package) : "-",
                      known ? p.function->name : "-", known ? number(p.inputs.size()) : "-",
                      known ? number(p.outputs.size()) : "-"});
      const std::string where = fmt::format("{} {}", method.name, p.index);
      const auto same = std::find_if(lists.begin(), lists.end(), [&](const auto& list) {
        return *list.first == p.compile_specs;
      });
      if (same == lists.end()) {
        lists.emplace_back(&p.compile_specs, where);
      } else {
        same->second += ", " + where;
      }
    }
  }
  add_section(out, "Partitions", partitions);
  for (const auto& [list, where] : lists) {
    for (const pte::CompileSpec& spec : *list) {
      specs.add({lists.size() == 1 ? "all" : where, spec.key, spec.value});
    }
  }
  add_section(out, "Compile specs", specs);
}

void add_histogram(std::string& out, const tools::Package& package, size_t index) {
  std::vector<std::string> heading = {"op"};
  std::set<std::string> types;
  for (const tools::FunctionSummary& function : package.functions) {
    heading.push_back(function.function->name);
    for (const auto& entry : function.ops) types.insert(entry.first);
  }
  Table ops(heading);
  for (const std::string& type : types) {
    std::vector<std::string> row = {type};
    for (const tools::FunctionSummary& function : package.functions) {
      const auto found = function.ops.find(type);
      row.push_back(number(found == function.ops.end() ? 0 : found->second));
    }
    ops.add(std::move(row));
  }
  add_section(out, fmt::format("Operations of package {}", index), ops);
}

void add_packages(std::string& out, const tools::Inspection& inspection) {
  Table packages({"package", "bytes", "identifier"});
  Table functions({"package", "function", "opset", "ops", "weights", "weight bytes"});
  Table weights({"package", "weights", "count", "bytes"});
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    const tools::Package& package = inspection.packages[i];
    const bool known = package.model != nullptr;
    packages.add(
        {number(i), number(package.bytes), known ? package.model->metadata.identifier : "-"});
    if (!known) continue;
    for (const tools::FunctionSummary& f : package.functions) {
      functions.add({number(i), f.function->name, f.function->opset, number(f.op_count),
                     number(f.weights.count), number(f.weights.bytes)});
    }
    const auto add_weights = [&](const std::string& what, const tools::Count& count) {
      weights.add({number(i), what, number(count.count), number(count.bytes)});
    };
    for (const auto& [dtype, count] : package.weights_by_dtype) add_weights(dtype, count);
    add_weights("all, each once", package.weights);
    if (package.functions.size() > 1) add_weights("of these shared", package.shared);
  }
  add_section(out, "Packages", packages);
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    const std::string& reason = inspection.packages[i].unreadable;
    if (!reason.empty()) out += fmt::format("package {} cannot be read: {}\n", i, reason);
  }
  add_section(out, "Functions", functions);
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    add_histogram(out, inspection.packages[i], i);
  }
  add_section(out, "Weights", weights);
}

void add_metadata(std::string& out, const tools::Inspection& inspection) {
  Table metadata({"metadata", "type", "value"});
  for (const tools::Metadata& entry : inspection.metadata) {
    metadata.add({entry.name, entry.type.text(), entry.value ? dump_json(*entry.value) : ""});
  }
  add_section(out, "Metadata", metadata);
}

std::string tables(const std::string& path, const tools::Inspection& inspection) {
  std::string out;
  if (inspection.is_model) {
    add_model(out, path, inspection);
    add_packages(out, inspection);
    return out;
  }
  add_file(out, path, inspection);
  add_methods(out, inspection);
  for (const tools::MethodSummary& method : inspection.methods) add_ports(out, method);
  add_partitions(out, inspection);
  add_packages(out, inspection);
  add_metadata(out, inspection);
  return out;
}

// --- Text of functions ---

// The functions of a model.
Result<std::string> model_functions(const InspectArguments& a,
                                    const tools::Inspection& inspection) {
  std::string out;
  std::vector<std::string> available;
  for (const tools::FunctionSummary& function : inspection.packages.front().functions) {
    const std::string& name = function.function->name;
    available.push_back(one_line(name));
    if (!a.function.empty() && a.function != name) continue;
    out += fmt::format("{}// function {}\n{}", out.empty() ? "" : "\n", one_line(name),
                       mil::print(*function.function));
  }
  if (!out.empty()) return out;
  return tl::unexpected(Error{ErrorCode::NotFound, a.model,
                              available.empty() ? "holds no Core ML function that can be shown"
                                                : "no such function; the file has",
                              available});
}

// The functions that the chosen partitions run, each once.
Result<std::string> functions(const InspectArguments& a, const tools::Inspection& inspection) {
  if (inspection.is_model) return model_functions(a, inspection);
  std::string out;
  std::set<const mil::Function*> printed;
  std::vector<std::string> available;
  for (const tools::MethodSummary& method : inspection.methods) {
    for (const tools::Partition& partition : method.partitions) {
      if (partition.function == nullptr) continue;
      const std::string& function = partition.function->name;
      const std::string where = one_line(fmt::format("method {}, partition {}, function {}",
                                                     method.name, partition.index, function));
      available.push_back(where);
      if ((a.partition && *a.partition != partition.index) ||
          (!a.method.empty() && a.method != method.name) ||
          (!a.function.empty() && a.function != function) ||
          !printed.insert(partition.function).second) {
        continue;
      }
      out += fmt::format("{}// {}\n{}", out.empty() ? "" : "\n", where,
                         mil::print(*partition.function));
    }
  }
  if (!out.empty()) return out;
  return tl::unexpected(Error{ErrorCode::NotFound, a.model,
                              available.empty() ? "holds no Core ML function that can be shown"
                                                : "no such function; the file has",
                              available});
}

// --- Sharing ---

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string sharing_tables(const tools::Sharing& sharing) {
  std::map<std::pair<size_t, std::string>, tools::Count> groups;
  Table reasons({"package", "weight", "type", "bytes", "functions", "why", "beside"});
  for (const tools::FileWeight& weight : sharing.weights) {
    groups[{weight.package, joined(weight.functions)}].add(weight.bytes);
    if (weight.why == tools::Unshared::No) continue;
    reasons.add({number(weight.package), weight.name, to_string(weight.type), number(weight.bytes),
                 joined(weight.functions), std::string(name(weight.why)), weight.twin});
  }
  Table table({"package", "used by", "weights", "bytes"});
  for (const auto& [group, count] : groups) {
    table.add({number(group.first), group.second, number(count.count), number(count.bytes)});
  }
  std::string out = table.text();
  add_section(out, "Not shared", reasons);
  out += fmt::format("\n{} bytes of weights, {} used by several functions, {} not shared\n",
                     sharing.bytes, sharing.shared_bytes, sharing.unshared_bytes);
  return out;
}

Json sharing_json(const tools::Sharing& sharing) {
  Json weights = Json::array();
  for (const tools::FileWeight& weight : sharing.weights) {
    Json row = {{"package", weight.package},
                {"name", printable(weight.name)},
                {"type", to_string(weight.type)},
                {"bytes", weight.bytes},
                {"functions", weight.functions}};
    if (weight.why != tools::Unshared::No) {
      row["why"] = name(weight.why);
      row["beside"] = printable(weight.twin);
    }
    weights.push_back(std::move(row));
  }
  return {{"bytes", sharing.bytes},
          {"shared_bytes", sharing.shared_bytes},
          {"unshared_bytes", sharing.unshared_bytes},
          {"weights", std::move(weights)}};
}

Status show_sharing(const InspectArguments& a, const tools::Inspection& inspection) {
  std::optional<uint64_t> most;
  if (!a.max_unshared.empty()) {
    most = TRY(as_usage(within("--max_unshared", bytes_from(a.max_unshared, 0))));
  }
  const tools::Sharing sharing = tools::sharing_of(inspection);
  TRY(write_results(a.json ? dump_json(sharing_json(sharing), 2) + "\n" : sharing_tables(sharing)));
  if (!most || sharing.unshared_bytes <= *most) return {};
  return within<void>(a.model, invalid_data("{} bytes of weights are not shared, at most {} may be",
                                            sharing.unshared_bytes, *most));
}

}  // namespace

Action setup_inspect(Parser& parser) {
  auto arguments = std::make_shared<InspectArguments>();
  InspectArguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte, .mlpackage or .mlmodel to look into")->required();
  auto* json = parser.add_flag("--json", a.json, "One JSON object instead of tables");
  auto* mil = parser.add_flag("--mil", a.mil, "The text of the functions instead of tables");
  mil->excludes(json);
  parser.add_option("--partition", a.partition, "With --mil: only this partition, from 0")
      ->needs(mil);
  parser.add_option("--method", a.method, "With --mil: only what this method runs")->needs(mil);
  parser.add_option("--function", a.function, "With --mil: only functions of this name")
      ->needs(mil);
  parser
      .add_flag("--sharing", a.sharing,
                "Which functions use which weights, and why others are not shared, instead")
      ->excludes(mil);
  parser
      .add_option("--max_unshared", a.max_unshared,
                  "The same, and status 1 where more bytes than so are not shared")
      ->excludes(mil);
  return [arguments]() -> Status {
    tools::Inspection inspection = TRY(tools::inspect(arguments->model));
    if (arguments->sharing || !arguments->max_unshared.empty()) {
      return show_sharing(*arguments, inspection);
    }
    if (arguments->mil) return write_results(TRY(functions(*arguments, inspection)));
    tools::try_functions(inspection);
    if (arguments->json) return write_results(dump_json(tools::to_json(inspection), 2) + "\n");
    return write_results(tables(arguments->model, inspection));
  };
}

}  // namespace diptych::cli
