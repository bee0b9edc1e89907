// What loaders refuse or misread: coremltools checks names of functions and features, Core ML that
// operations are those of the opset, ExecuTorch that a delegate's arguments fit.
#include <set>

#include "engine/executable.h"
#include "mil/op_table.h"
#include "mil/verify.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

bool is_identifier(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) return false;
  }
  return true;
}

void check_function(const mil::Function& function, const std::string& place, Report& report) {
  if (!is_identifier(function.name)) {
    report.find(place, "a function's name is letters, digits and _");
  }
  for (const auto* ports : {&function.inputs, &function.outputs}) {
    for (const mil::Value* port : *ports) {
      if (!is_identifier(port->name)) {
        report.find(place, fmt::format("the name '{}' is no identifier", port->name));
      }
    }
  }
  if (const Status status = mil::verify(function, /*allow_unknown=*/true); !status) {
    report.find(place, status.error().to_string());
  }
  const auto opset = mil::opset_from_name(function.opset);
  if (!opset) {
    report.find(place, fmt::format("the opset {} is not known", function.opset));
    return;
  }
  for (const auto& op : function.ops) {
    if (!mil::is_known_op(op->type) || mil::find_op(op->type, *opset) != nullptr) continue;
    report.find(
        fmt::format("{}, {} '{}'", place, op->type, op->results.empty() ? "" : op->result()->name),
        fmt::format("the opset {} has no such operation", function.opset));
  }
}

}  // namespace

Status check_structure(Subject& subject, Report& report, Progress&) {
  size_t functions = 0;
  const tools::Inspection& inspection = subject.inspection;
  std::set<const mil::Function*> called;
  for (const tools::MethodSummary& method : inspection.methods) {
    for (const tools::Partition& partition : method.partitions) called.insert(partition.function);
    if (method.instructions.kernel_calls > 0) {
      report.find("method " + method.name, "calls kernels beside Core ML delegates");
    }
  }
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    const tools::Package& package = inspection.packages[i];
    const std::string place = fmt::format("package {}", i);
    if (package.model == nullptr) {
      report.find(place, "cannot be read: " + package.unreadable);
      continue;
    }
    std::set<std::string_view> names;
    for (const auto& function : package.model->model.program.functions) {
      const std::string where = fmt::format("{}, function {}", place, function->name);
      check_function(*function, where, report);
      if (!names.insert(function->name).second) report.find(where, "there are two of this name");
      if (!inspection.is_model && called.count(function.get()) == 0) {
        report.find(where, "no method calls it");
      }
      ++functions;
    }
  }
  for (const auto& function : subject.opened.functions) {
    engine::ExecutableOptions options;
    options.numerics = engine::Numerics::Precise;
    options.wide_ports = true;
    const auto compiled = engine::Executable::compile(function->function(), options);
    if (!compiled) report.find(function->graph.name, compiled.error().to_string());
  }
  report.note(fmt::format("{} packages, {} functions", inspection.packages.size(), functions));
  return {};
}

}  // namespace diptych::verify
