#include "serve/served_model.h"

#include "answer/constraint.h"

namespace diptych::serve {

Result<std::unique_ptr<ServedModel>> ServedModel::open(const std::string& path,
                                                       const std::string& id,
                                                       const answer::OpenOptions& open,
                                                       Turns& turns,
                                                       const SchedulerOptions& options) {
  answer::OpenedModel opened = TRY(answer::OpenedModel::open(path, open));
  std::unique_ptr<ServedModel> model(new ServedModel(id, std::move(opened)));
  const answer::OpenedModel& used = model->opened_;
  model->scheduler_ = TRY(
      Scheduler::create([&used] { return used.new_session(); }, used.tokenizer(), turns, options));
  model->slot_bytes_ = model->scheduler_->sessions().front()->cache_bytes();
  return model;
}

std::shared_ptr<const grammar::TokenTrie> ServedModel::token_trie() const {
  std::call_once(trie_once_, [this] { trie_ = answer::token_trie(opened_); });
  return trie_;
}

}  // namespace diptych::serve
