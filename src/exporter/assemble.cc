#include "exporter/assemble.h"

#include <algorithm>
#include <set>

#include "base/thread_pool.h"
#include "coreml/delegate.h"
#include "pte/constant_method.h"

namespace diptych::exporter {

namespace {

constexpr uint64_t kArenaAlignment = 16;

// The payload of each partition of each method.
using Payloads = std::map<std::pair<size_t, size_t>, pte::Blob>;

Result<Payloads> pack(const std::vector<passes::CutMethod>& cuts,
                      std::vector<passes::Package> packages, pte::Program& program,
                      DigestCache& digests, const std::shared_ptr<ThreadPool>& pool) {
  Payloads payloads;
  for (const passes::Package& package : packages) {
    const auto [method, partition] = package.members.front();
    const bool whole = packages.size() == 1 || cuts[method].partitions.size() == 1;
    const std::string root =
        whole ? "lowered_module" : fmt::format("lowered_module_partition_{}", partition);
    const coreml::DelegateBlob blob =
        TRY(within(fmt::format("partition {}", partition),
                   coreml::write_delegate(package.program, root, digests, pool)));
    if (blob.key.empty()) {
      payloads[{method, partition}] = pte::Blob::produced(blob.blob);
      continue;
    }
    program.named_data.push_back({blob.key, pte::Blob::produced(blob.blob)});
    for (size_t i = 0; i < package.members.size(); ++i) {
      const auto& member = package.members[i];
      payloads[{member.method, member.partition}] =
          pte::Blob::own(coreml::format_reference({blob.key, package.program.functions[i]->name}));
    }
  }
  return payloads;
}

std::string_view strategy(passes::WeightSharing sharing) {
  switch (sharing) {
    case passes::WeightSharing::Positional:
      return coreml::compile_spec::kPositional;
    case passes::WeightSharing::OnePackage:
      return coreml::compile_spec::kOneBlob;
    case passes::WeightSharing::Disabled:
      return coreml::compile_spec::kDisabled;
  }
  return {};
}

std::vector<pte::CompileSpec> compile_specs(const Options& options, bool several) {
  namespace spec = coreml::compile_spec;
  const auto entry = [](std::string_view key, std::string_view value) {
    return pte::CompileSpec{std::string(key), std::string(value)};
  };
  std::vector<pte::CompileSpec> specs = {
      entry(spec::kComputeUnits, spec::kCpuAndNeuralEngine),
      entry(spec::kDeploymentTarget, spec::kIos18),
      entry(spec::kComputePrecision, options.dtype == DType::F16 ? spec::kFloat16 : spec::kFloat32),
      entry(spec::kModelType, spec::kModelPackage)};
  if (several || options.sharing == passes::WeightSharing::OnePackage) {
    specs.push_back(entry(spec::kWeightSharing, strategy(options.sharing)));
  }
  return specs;
}

// Values, memory and calls of one method, of which there may be `several`.
Result<pte::Method> assemble_method(const contract::Model& model, const AssembledMethod& described,
                                    const passes::CutMethod& cut, const Options& options,
                                    bool several) {
  pte::Method method;
  method.name = described.method.name;
  const contract::Trees trees = contract::trees(model, described.method);
  method.input_spec = pte::to_json(trees.inputs);
  method.output_spec = pte::to_json(trees.outputs);

  const std::set<size_t> outputs(cut.outputs.begin(), cut.outputs.end());
  uint64_t arena = 0;
  for (size_t i = 0; i < cut.values.size(); ++i) {
    const bool is_input = i < cut.input_count;
    // The method's own type: its last position is int64, the Core ML function's int32.
    const TensorType& type = is_input ? described.signature.inputs[i].type : cut.values[i].type;
    pte::Tensor tensor = TRY(pte::make_tensor(type));
    if (is_input) {
      method.inputs.push_back(static_cast<int32_t>(i));
    } else if (!outputs.contains(i)) {
      tensor.allocation = pte::Allocation{1, arena};
      arena = align_up(arena + TRY(pte::byte_size(tensor)), kArenaAlignment);
    }
    method.values.emplace_back(std::move(tensor));
  }
  for (const size_t output : cut.outputs) method.outputs.push_back(static_cast<int32_t>(output));
  method.arena_sizes = {0, static_cast<int64_t>(arena)};

  for (size_t p = 0; p < cut.partitions.size(); ++p) {
    pte::Delegate delegate;
    delegate.backend = coreml::kBackendId;
    delegate.compile_specs = compile_specs(options, several);
    method.delegates.push_back(std::move(delegate));
    pte::DelegateCall call;
    call.delegate = static_cast<int32_t>(p);
    for (const size_t value : cut.partitions[p].inputs)
      call.args.push_back(static_cast<int32_t>(value));
    for (const size_t value : cut.partitions[p].outputs)
      call.args.push_back(static_cast<int32_t>(value));
    method.instructions.emplace_back(std::move(call));
  }
  return method;
}

}  // namespace

Result<pte::Program> assemble(const contract::Model& model,
                              const std::vector<AssembledMethod>& methods,
                              const std::vector<passes::CutMethod>& cuts,
                              std::vector<passes::Package> packages,
                              const std::vector<contract::ConstantMethod>& constants,
                              const Options& options, DigestCache& digests) {
  pte::Program program;
  const auto pool = std::make_shared<ThreadPool>(options.threads);
  Payloads payloads = TRY(pack(cuts, std::move(packages), program, digests, pool));
  for (size_t m = 0; m < methods.size(); ++m) {
    pte::Method method =
        TRY(assemble_method(model, methods[m], cuts[m], options, methods.size() > 1));
    for (size_t p = 0; p < method.delegates.size(); ++p) {
      method.delegates[p].processed = payloads.at({m, p});
    }
    program.methods.push_back(std::move(method));
  }
  for (const contract::ConstantMethod& constant : constants) {
    if (const auto* number = std::get_if<int64_t>(&constant.value)) {
      program.methods.push_back(pte::constant_method(constant.name, *number));
      continue;
    }
    if (const auto* truth = std::get_if<bool>(&constant.value)) {
      program.methods.push_back(pte::constant_method(constant.name, *truth));
      continue;
    }
    const WeightRef& weight = std::get<WeightRef>(constant.value);
    program.methods.push_back(TRY(pte::constant_tensor_method(
        program, constant.name, weight->type(), TRY(read_all(*packed_source(weight))))));
  }
  return program;
}

}  // namespace diptych::exporter
