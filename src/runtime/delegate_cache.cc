#include "runtime/delegate_cache.h"

#include "runtime/coreml_payload.h"

namespace diptych::runtime {

Result<std::shared_ptr<CompiledModel>> DelegateCache::model_at(Bytes blob) {
  std::lock_guard lock(mutex_);
  auto& model = models_[blob.data()];
  if (!model) model = TRY(CompiledModel::read(blob, owner_, options_, &pool_));
  return model;
}

Result<CompiledFunction> DelegateCache::compile(const pte::Delegate& delegate,
                                                std::string_view method,
                                                const std::vector<engine::TokenAxis>& token_axes) {
  if (delegate.backend != coreml::kBackendId) {
    return unsupported("delegate is for backend {}, diptych runs {} only", delegate.backend,
                       coreml::kBackendId);
  }
  const CoremlPayload payload = TRY(coreml_payload(container_, delegate));
  const std::shared_ptr<CompiledModel> model = TRY(model_at(payload.blob));
  return model->function(method, payload.reference ? &*payload.reference : nullptr, token_axes);
}

}  // namespace diptych::runtime
