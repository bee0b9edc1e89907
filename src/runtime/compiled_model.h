// A Core ML model read from a delegate's blob, and its functions, each compiled once. Methods that
// share a package share the model and the compiled functions.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "coreml/delegate.h"
#include "engine/executable.h"

namespace diptych::runtime {

// A compiled function, and where the arguments of a delegate call go.
struct CompiledFunction {
  std::shared_ptr<const engine::Executable> executable;
  // For each argument of the call, its index among the executable's inputs or outputs.
  std::vector<size_t> inputs, outputs;
};

class CompiledModel {
 public:
  // Reads `blob`, which `owner` keeps alive. Weights are used where they lie, so the model and
  // everything compiled from it hold on to `owner`. `pool` is that of coreml::read_model().
  static Result<std::shared_ptr<CompiledModel>> read(Bytes blob, std::shared_ptr<const void> owner,
                                                     const engine::ExecutableOptions& options,
                                                     ThreadPool* pool = nullptr);

  // Returns the function that `method` calls, compiled at the first request. `reference` is that of
  // the delegate's payload, or null when the payload is the blob itself. `token_axes` are those of
  // the call's arguments, inputs first (ExecutableOptions::token_axes). Callable from any thread.
  Result<CompiledFunction> function(std::string_view method, const coreml::Reference* reference,
                                    const std::vector<engine::TokenAxis>& token_axes = {});

 private:
  CompiledModel(coreml::DelegateModel model, const engine::ExecutableOptions& options)
      : model_(std::move(model)), options_(options) {}

  // Functions are compiled side by side when different threads ask for them, once for all calls
  // that count tokens along the same axes.
  struct Compilation {
    std::mutex mutex;
    std::shared_ptr<const engine::Executable> executable;  // null: not done yet
  };

  const coreml::DelegateModel model_;
  const engine::ExecutableOptions options_;
  std::mutex mutex_;  // of the map, whose elements stay where they are
  std::map<std::pair<const mil::Function*, std::vector<engine::TokenAxis>>, Compilation>
      compilations_;
};

}  // namespace diptych::runtime
