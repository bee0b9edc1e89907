// The Core ML models of one program, read once, and their functions, compiled once: methods that
// share a package share both.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "coreml/delegate.h"
#include "engine/executable.h"
#include "pte/program.h"

namespace diptych::runtime {

// A delegate call ready to run: the compiled function, and where the call's arguments go in it.
struct CompiledDelegate {
  std::shared_ptr<const engine::Executable> executable;
  // For each argument of the call, the index among the executable's inputs (outputs).
  std::vector<size_t> inputs, outputs;
};

class DelegateCache {
 public:
  // `container` and `owner` (of the bytes its blobs view) must outlive the cache.
  DelegateCache(const pte::Program& container, std::shared_ptr<const void> owner,
                const engine::ExecutableOptions& options)
      : container_(container), owner_(std::move(owner)), options_(options) {}

  // Callable from any thread.
  Result<CompiledDelegate> compile(const pte::Delegate& delegate, std::string_view method);

 private:
  Result<const coreml::DelegateModel*> model_at(Bytes blob);

  const pte::Program& container_;
  std::shared_ptr<const void> owner_;
  engine::ExecutableOptions options_;
  std::mutex mutex_;
  std::map<const std::byte*, std::unique_ptr<const coreml::DelegateModel>> models_;  // by address
  std::map<const mil::Function*, std::shared_ptr<const engine::Executable>> executables_;
};

}  // namespace diptych::runtime
