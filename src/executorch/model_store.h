// Models that lie in named data, shared by the delegates that refer to them.
#pragma once

#include <executorch/runtime/core/named_data_map.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "engine/numerics.h"
#include "runtime/compiled_model.h"

namespace diptych::plugin {

// How the plug-in compiles: with the types that the program declares.
engine::ExecutableOptions executable_options(engine::Numerics numerics);

// A model lives as long as a delegate that uses it. Callable from any thread.
class ModelStore {
 public:
  // The process's only instance; never destroyed.
  static ModelStore& instance();

  // The model under `key` of `map`, read unless a delegate of the same map has it already. Keeps
  // the buffer that the map gives, so its bytes may lie anywhere and are not copied. NotFound when
  // the map has no such key. Two maps never share: the bytes belong to the map's program, and only
  // delegates of that program are known to end before it does.
  Result<std::shared_ptr<runtime::CompiledModel>> named(
      const executorch::runtime::NamedDataMap& map, const std::string& key,
      engine::Numerics numerics);

 private:
  using Key = std::tuple<const executorch::runtime::NamedDataMap*, std::string, engine::Numerics>;
  std::mutex mutex_;
  std::map<Key, std::weak_ptr<runtime::CompiledModel>> models_;
};

}  // namespace diptych::plugin
