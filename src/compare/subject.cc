#include "compare/subject.h"

#include <map>
#include <utility>

#include "base/printable.h"
#include "coreml/package.h"
#include "generate/session.h"

namespace diptych::compare {

namespace {

std::vector<std::string> roles_by_type(const std::vector<mil::Value*>& values) {
  std::map<std::string, int> seen;
  std::vector<std::string> roles;
  for (const mil::Value* value : values) {
    // Exporters differ in the floats of one interface.
    TensorType alike = value->type;
    if (is_float(alike.dtype)) alike.dtype = DType::F16;
    const std::string type = to_string(alike);
    roles.push_back(fmt::format("{} {}", type, seen[type]++));
  }
  return roles;
}

struct OpenedModel {
  coreml::FileMap files;
  coreml::Model model;
};

Status add_core_ml(const std::string& path, Subject& subject) {
  auto files = TRY(coreml::map_model(path));
  auto model = TRY(within(path, coreml::read_mapped_model(files)));
  const auto opened =
      std::make_shared<OpenedModel>(OpenedModel{std::move(files), std::move(model)});
  for (const auto& function : opened->model.program.functions) {
    auto added = std::make_unique<Function>();
    added->graph.name = function->name;
    added->graph.function = mil::clone(*function);
    added->graph.partitions = 1;
    subject.functions.push_back(std::move(added));
  }
  subject.owner = opened;
  subject.why_no_model = "a Core ML model says nothing of the contract";
  return {};
}

Status add_methods(Subject& subject) {
  const pte::Program& container = subject.program->container();
  Packages packages(container, subject.program);
  for (const std::string& name : subject.program->method_names()) {
    auto function = std::make_unique<Function>();
    auto graph = packages.join(*pte::find_method(container, name));
    if (!graph) return tl::unexpected(std::move(graph.error()));
    function->graph = std::move(*graph);
    subject.functions.push_back(std::move(function));
  }
  return {};
}

// Moves the functions that a description has from `left` to the subject's.
void add_variant(std::string adapter, contract::Description model,
                 std::vector<std::unique_ptr<Function>>& left, Subject& subject) {
  auto variant = std::make_unique<Variant>();
  variant->adapter = std::move(adapter);
  variant->model = std::move(model);
  for (const contract::Function& function : variant->model.functions) {
    for (auto& candidate : left) {
      if (candidate == nullptr || candidate->graph.name != function.method.name) continue;
      candidate->contract = &function;
      candidate->variant = variant.get();
      candidate->layers = Layers(*candidate->graph.function, function.places);
      variant->functions.push_back(candidate.get());
      subject.functions.push_back(std::move(candidate));
    }
  }
  subject.variants.push_back(std::move(variant));
}

void set_variants(Subject& subject) {
  auto model = generate::describe(*subject.program);
  if (!model) {
    subject.why_no_model = model.error().to_string();
    return;
  }
  std::vector<std::unique_ptr<Function>> left = std::exchange(subject.functions, {});
  add_variant("", std::move(*model), left, subject);
  for (const std::string& adapter : generate::adapters(*subject.program)) {
    auto adapted = generate::describe(*subject.program, adapter);
    if (adapted) {
      add_variant(adapter, std::move(*adapted), left, subject);
    } else {
      subject.broken_adapters.push_back(std::move(adapted.error()));
    }
  }
  for (auto& other : left) {
    if (other != nullptr) subject.functions.push_back(std::move(other));
  }
}

Status add_program(const std::string& path, const runtime::Options& options, Subject& subject) {
  subject.program = TRY(runtime::Program::open(path, options));
  TRY(within(path, add_methods(subject)));
  set_variants(subject);
  return {};
}

}  // namespace

void set_roles(Function& function) {
  const mil::Function& graph = function.function();
  function.input_roles = roles_by_type(graph.inputs);
  function.output_roles = roles_by_type(graph.outputs);
  if (function.contract == nullptr) return;
  const contract::Places& at = function.contract->places;
  auto& in = function.input_roles;
  auto& out = function.output_roles;
  in[at.tokens] = "tokens";
  if (at.last_position) in[*at.last_position] = "last position";
  for (size_t i = 0; i < at.masks.size(); ++i) in[at.masks[i]] = fmt::format("mask {}", i);
  for (size_t i = 0; i < at.cos.size(); ++i) in[at.cos[i]] = fmt::format("cos {}", i);
  for (size_t i = 0; i < at.sin.size(); ++i) in[at.sin[i]] = fmt::format("sin {}", i);
  out[at.logits] = "logits";
  for (size_t layer = 0; layer < at.key_inputs.size(); ++layer) {
    in[at.key_inputs[layer]] = fmt::format("key cache {}", layer);
    in[at.value_inputs[layer]] = fmt::format("value cache {}", layer);
    out[at.key_outputs[layer]] = fmt::format("new key {}", layer);
    out[at.value_outputs[layer]] = fmt::format("new value {}", layer);
  }
}

std::string Function::place(const mil::Op& op) const {
  std::string text = graph.name;
  if (const auto layer = layers.of(op)) text += fmt::format(", layer {}", *layer);
  return fmt::format("{}, {} '{}'", text, op.type, op.results.empty() ? "" : op.result()->name);
}

Function* Subject::find(std::string_view name) const {
  for (const auto& function : functions) {
    if (function->graph.name == name) return function.get();
  }
  return nullptr;
}

Result<Subject> open_subject(const std::string& path, int threads) {
  Subject subject;
  subject.path = path;
  if (coreml::is_model_path(path)) {
    TRY(add_core_ml(path, subject));
  } else {
    runtime::Options options;
    options.numerics = engine::Numerics::Precise;
    options.threads = threads;
    TRY(add_program(path, options, subject));
  }
  for (const auto& function : subject.functions) {
    set_roles(*function);
  }
  return subject;
}

}  // namespace diptych::compare
