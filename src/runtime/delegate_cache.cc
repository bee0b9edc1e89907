#include "runtime/delegate_cache.h"

#include <algorithm>

#include "runtime/coreml_payload.h"

namespace diptych::runtime {

namespace {

size_t index_of(const std::vector<mil::Value*>& values, const mil::Value* value) {
  return static_cast<size_t>(std::find(values.begin(), values.end(), value) - values.begin());
}

}  // namespace

Result<const coreml::DelegateModel*> DelegateCache::model_at(Bytes blob) {
  auto& slot = models_[blob.data()];
  if (!slot) {
    slot = std::make_unique<const coreml::DelegateModel>(TRY(coreml::read_delegate(blob, owner_)));
  }
  return slot.get();
}

Result<CompiledDelegate> DelegateCache::compile(const pte::Delegate& delegate,
                                                std::string_view method) {
  if (delegate.backend != coreml::kBackendId) {
    return unsupported("delegate is for backend {}, diptych runs {} only", delegate.backend,
                       coreml::kBackendId);
  }
  const CoremlPayload payload = TRY(coreml_payload(container_, delegate));

  std::lock_guard lock(mutex_);
  const coreml::DelegateModel* model = TRY(model_at(payload.blob));
  const coreml::DelegateFunction function = TRY(
      coreml::resolve_function(*model, method, payload.reference ? &*payload.reference : nullptr));
  CompiledDelegate compiled;
  for (const mil::Value* value : function.inputs) {
    compiled.inputs.push_back(index_of(function.function->inputs, value));
  }
  for (const mil::Value* value : function.outputs) {
    compiled.outputs.push_back(index_of(function.function->outputs, value));
  }
  auto& executable = executables_[function.function];
  if (!executable) {
    executable = TRY(within("function " + function.function->name,
                            engine::Executable::compile(*function.function, options_)));
  }
  compiled.executable = executable;
  return compiled;
}

}  // namespace diptych::runtime
