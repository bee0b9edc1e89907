#include "runtime/compiled_model.h"

#include <algorithm>

namespace diptych::runtime {

namespace {

// Indices of `arguments` among `ports`.
std::vector<size_t> positions(const std::vector<const mil::Value*>& arguments,
                              const std::vector<mil::Value*>& ports) {
  std::vector<size_t> result;
  for (const mil::Value* value : arguments) {
    result.push_back(
        static_cast<size_t>(std::find(ports.begin(), ports.end(), value) - ports.begin()));
  }
  return result;
}

}  // namespace

Result<std::shared_ptr<CompiledModel>> CompiledModel::read(Bytes blob,
                                                           std::shared_ptr<const void> owner,
                                                           const engine::ExecutableOptions& options,
                                                           ThreadPool* pool) {
  coreml::DelegateModel model = TRY(coreml::read_delegate(blob, std::move(owner), pool));
  engine::ExecutableOptions verified = options;
  verified.verified = true;
  return std::shared_ptr<CompiledModel>(new CompiledModel(std::move(model), verified));
}

Result<CompiledFunction> CompiledModel::function(std::string_view method,
                                                 const coreml::Reference* reference) {
  const coreml::DelegateFunction function =
      TRY(coreml::resolve_function(model_, method, reference));
  CompiledFunction compiled;
  compiled.inputs = positions(function.inputs, function.function->inputs);
  compiled.outputs = positions(function.outputs, function.function->outputs);
  Compilation& compilation = [&]() -> Compilation& {
    std::lock_guard lock(mutex_);
    return compilations_[function.function];
  }();
  std::lock_guard lock(compilation.mutex);
  if (!compilation.executable) {
    compilation.executable = TRY(within("function " + function.function->name,
                                        engine::Executable::compile(*function.function, options_)));
  }
  compiled.executable = compilation.executable;
  return compiled;
}

}  // namespace diptych::runtime
