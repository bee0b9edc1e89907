#include "executorch/model_store.h"

#include <executorch/runtime/core/freeable_buffer.h>

#include <utility>

namespace diptych::plugin {

using executorch::runtime::FreeableBuffer;
using executorch::runtime::NamedDataMap;

engine::ExecutableOptions executable_options(engine::Numerics numerics) {
  engine::ExecutableOptions options;
  options.numerics = numerics;
  return options;
}

ModelStore& ModelStore::instance() {
  static auto* const store = new ModelStore;
  return *store;
}

Result<std::shared_ptr<runtime::CompiledModel>> ModelStore::named(const NamedDataMap& map,
                                                                  const std::string& key,
                                                                  engine::Numerics numerics) {
  // Held while the model is read, so that methods loaded at the same time read it once.
  std::lock_guard lock(mutex_);
  std::erase_if(models_, [](const auto& entry) { return entry.second.expired(); });
  const Key full_key(&map, key, numerics);
  if (const auto found = models_.find(full_key); found != models_.end()) {
    if (auto model = found->second.lock()) return model;
  }
  auto data = map.get_data(key);
  if (!data.ok()) {
    if (data.error() == executorch::runtime::Error::NotFound) {
      return not_found("the delegate refers to named data \"{}\", which the program lacks", key);
    }
    return invalid_data("named data \"{}\" cannot be loaded: error 0x{:x}", key,
                        static_cast<unsigned>(data.error()));
  }
  const auto buffer = std::make_shared<FreeableBuffer>(std::move(data.get()));
  const auto address = buffer->data_safe();
  if (!address.ok()) return unsupported("named data \"{}\" outside the address space", key);
  auto model = TRY(within(
      "named data " + key,
      runtime::CompiledModel::read({static_cast<const std::byte*>(address.get()), buffer->size()},
                                   buffer, executable_options(numerics))));
  models_[full_key] = model;
  return model;
}

}  // namespace diptych::plugin
