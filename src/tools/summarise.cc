#include "tools/summarise.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "coreml/package.h"
#include "engine/executable.h"

namespace diptych::tools {

ValueType type_of(const TensorType& type) { return {std::string(name(type.dtype)), type.shape}; }

namespace {

// Operations by type. Constants are no operations in our IR; in the file each is a `const`, but for
// the operands of constexpr operations, which stand in place.
std::map<std::string, uint64_t> histogram(const mil::Function& function) {
  std::map<std::string, uint64_t> ops;
  std::unordered_set<const mil::Value*> in_place, defined;
  for (const auto& op : function.ops) {
    ++ops[op->type];
    auto& uses = mil::is_constant_expression(*op) ? in_place : defined;
    for (const mil::Operand& operand : op->operands) {
      uses.insert(operand.values.begin(), operand.values.end());
    }
  }
  defined.insert(function.outputs.begin(), function.outputs.end());
  const auto constants = function.constants();
  const auto consts = std::count_if(constants.begin(), constants.end(), [&](const auto* constant) {
    return defined.contains(constant) || !in_place.contains(constant);
  });
  if (consts > 0) ops["const"] = static_cast<uint64_t>(consts);
  return ops;
}

std::vector<FunctionSummary::Feature> features(const std::vector<mil::Value*>& values) {
  std::vector<FunctionSummary::Feature> result;
  for (const mil::Value* value : values)
    result.push_back({value->name, tools::type_of(value->type)});
  return result;
}

// A weight of the weight file, by the address of its bytes.
using StoredWeights = std::map<const std::byte*, const Weight*>;

// The weights of a function that lie in the blob; other constants are part of the model file.
StoredWeights stored_weights(const mil::Function& function, Bytes blob) {
  StoredWeights weights;
  for (const mil::Value* constant : function.constants()) {
    if (!constant->weight) continue;
    const auto bytes = constant->weight->bytes();
    if (!bytes || std::less<>()(bytes->data(), blob.data()) ||
        !std::less<>()(bytes->data(), blob.data() + blob.size())) {
      continue;
    }
    weights.emplace(bytes->data(), constant->weight.get());
  }
  return weights;
}

}  // namespace

void summarise_functions(Bytes blob, Package& package) {
  StoredWeights all;
  std::set<const std::byte*> shared;
  for (const auto& function : package.model->model.program.functions) {
    FunctionSummary& summary = package.functions.emplace_back();
    summary.function = function.get();
    summary.inputs = features(function->inputs);
    summary.outputs = features(function->outputs);
    summary.ops = histogram(*function);
    for (const auto& entry : summary.ops) summary.op_count += entry.second;
    for (const auto& [address, weight] : stored_weights(*function, blob)) {
      summary.weights.add(weight->bytes()->size());
      if (!all.emplace(address, weight).second) shared.insert(address);
    }
  }
  for (const auto& [address, weight] : all) {
    const uint64_t size = weight->bytes()->size();
    package.weights.add(size);
    package.weights_by_dtype[std::string(name(weight->dtype()))].add(size);
    if (shared.contains(address)) package.shared.add(size);
  }
}

Result<Package> inspect_model(const std::string& path) {
  Package package;
  auto delegate = std::make_shared<coreml::DelegateModel>();
  delegate->files = TRY(coreml::map_model(path));
  auto model = within(path, coreml::read_mapped_model(delegate->files));
  for (const auto& [name, file] : delegate->files) package.bytes += file.bytes.size();
  if (!model) {
    if (model.error().code != ErrorCode::Unsupported) return tl::unexpected(model.error());
    package.unreadable = model.error().to_string();
    return package;
  }
  delegate->model = std::move(*model);
  Bytes weights;
  for (const auto& [name, file] : delegate->files) {
    if (name.ends_with(kWeightFile)) weights = file.bytes;
  }
  package.model = std::move(delegate);
  summarise_functions(weights, package);
  return package;
}

namespace {

// Notes what the engine says of a function: the memory that it takes, or why it cannot run.
void try_out(FunctionSummary& function) {
  engine::ExecutableOptions options;
  options.verified = true;
  const auto compiled = engine::Executable::compile(*function.function, options);
  if (compiled) {
    function.unpacked_bytes = (*compiled)->unpacked_bytes();
    function.arena_bytes = (*compiled)->arena_size();
    return;
  }
  const Error& error = compiled.error();
  function.problems = error.items;
  if (error.items.empty()) {
    function.problems = {error.context.empty() ? error.message
                                               : error.context + ": " + error.message};
  }
}

}  // namespace

void try_functions(Inspection& inspection) {
  if (!inspection.is_model) return;
  for (FunctionSummary& function : inspection.packages.front().functions) try_out(function);
}

}  // namespace diptych::tools
