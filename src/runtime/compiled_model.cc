#include "runtime/compiled_model.h"

#include <algorithm>

#include "engine/looked_up.h"

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
  engine::ExecutableOptions all_options = options;
  all_options.verified = true;
  all_options.wide_means = true;  // DelegateCall converts to the type that the method has
  if (!all_options.looked_up) all_options.looked_up = std::make_shared<engine::LookedUp>();
  return std::shared_ptr<CompiledModel>(new CompiledModel(std::move(model), all_options));
}

Result<CompiledFunction> CompiledModel::function(std::string_view method,
                                                 const coreml::Reference* reference,
                                                 const std::vector<engine::TokenAxis>& token_axes) {
  const coreml::DelegateFunction function =
      TRY(coreml::resolve_function(model_, method, reference));
  CompiledFunction compiled;
  compiled.inputs = positions(function.inputs, function.function->inputs);
  compiled.outputs = positions(function.outputs, function.function->outputs);
  engine::ExecutableOptions options = options_;
  options.token_axes.resize(function.function->inputs.size());
  for (size_t i = 0; i < std::min(compiled.inputs.size(), token_axes.size()); ++i) {
    // A list of one may be passed as a scalar, which has no axis.
    const Shape& shape = function.inputs[i]->type.shape;
    if (token_axes[i] && *token_axes[i] < shape.size()) {
      options.token_axes[compiled.inputs[i]] = token_axes[i];
    }
  }
  Compilation& compilation = [&]() -> Compilation& {
    std::lock_guard lock(mutex_);
    return compilations_[{function.function, options.token_axes}];
  }();
  std::lock_guard lock(compilation.mutex);
  if (!compilation.executable) {
    compilation.executable = TRY(within("function " + function.function->name,
                                        engine::Executable::compile(*function.function, options)));
  }
  compiled.executable = compilation.executable;
  return compiled;
}

}  // namespace diptych::runtime
