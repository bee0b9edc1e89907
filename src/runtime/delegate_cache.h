// The Core ML models of one program, each read and compiled once.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "pte/program.h"
#include "runtime/compiled_model.h"

namespace diptych::runtime {

class DelegateCache {
 public:
  // `container` and `pool` must outlive the cache. `owner` keeps alive the bytes that the blobs of
  // `container` view.
  DelegateCache(const pte::Program& container, std::shared_ptr<const void> owner,
                const engine::ExecutableOptions& options, ThreadPool& pool)
      : container_(container), owner_(std::move(owner)), options_(options), pool_(pool) {}

  // Returns what a delegate of `method` runs, read and compiled at the first request. `token_axes`
  // are those of CompiledModel::function(). Callable from any thread.
  Result<CompiledFunction> compile(const pte::Delegate& delegate, std::string_view method,
                                   const std::vector<engine::TokenAxis>& token_axes);

 private:
  Result<std::shared_ptr<CompiledModel>> model_at(Bytes blob);

  const pte::Program& container_;
  std::shared_ptr<const void> owner_;
  engine::ExecutableOptions options_;
  ThreadPool& pool_;
  std::mutex mutex_;
  std::map<const std::byte*, std::shared_ptr<CompiledModel>> models_;  // by their blob's address
};

}  // namespace diptych::runtime
