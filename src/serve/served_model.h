// A model that is being served: what turns requests into jobs, and the scheduler that does them.
#pragma once

#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include "answer/opened_model.h"
#include "base/error.h"
#include "grammar/token_trie.h"
#include "serve/scheduler.h"

namespace diptych::serve {

class ServedModel {
 public:
  // Opens the .pte at `path` and makes its sessions. `turns` must outlive the model.
  static Result<std::unique_ptr<ServedModel>> open(const std::string& path, const std::string& id,
                                                   const answer::OpenOptions& open, Turns& turns,
                                                   const SchedulerOptions& options);

  const std::string& id() const { return id_; }  // as requests name it
  std::time_t opened_at() const { return opened_at_; }
  const answer::OpenedModel& opened() const { return opened_; }
  Scheduler& scheduler() const { return *scheduler_; }
  // The model's tokens, for answers that keep to a grammar; made when it is asked for first.
  std::shared_ptr<const grammar::TokenTrie> token_trie() const;
  uint64_t slot_bytes() const { return slot_bytes_; }  // of keys and values, of each slot

 private:
  ServedModel(std::string id, answer::OpenedModel opened)
      : id_(std::move(id)), opened_(std::move(opened)) {}

  std::string id_;
  std::time_t opened_at_ = std::time(nullptr);
  answer::OpenedModel opened_;
  uint64_t slot_bytes_ = 0;
  mutable std::once_flag trie_once_;
  mutable std::shared_ptr<const grammar::TokenTrie> trie_;
  std::unique_ptr<Scheduler> scheduler_;  // uses opened_
};

}  // namespace diptych::serve
