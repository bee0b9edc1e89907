#include "runtime/delegate_cache.h"

#include <algorithm>

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
  Bytes blob = delegate.processed.bytes();
  std::optional<coreml::Reference> reference;
  if (coreml::is_reference(blob)) {
    reference = TRY(coreml::parse_reference(blob));
    const pte::Blob* shared = pte::find_named_data(container_, reference->key);
    if (shared == nullptr) {
      return not_found("the delegate refers to named data \"{}\", which the file does not hold",
                       reference->key);
    }
    blob = shared->bytes();
  }

  std::lock_guard lock(mutex_);
  const coreml::DelegateModel* model = TRY(model_at(blob));
  const coreml::DelegateFunction function =
      TRY(coreml::resolve_function(*model, method, reference ? &*reference : nullptr));
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
