// Answers that keep to a grammar, token by token.
#pragma once

#include <memory>
#include <set>

#include "answer/opened_model.h"
#include "generate/token_filter.h"
#include "grammar/automaton.h"
#include "grammar/token_trie.h"

namespace diptych::answer {

// The tokens of a model that has a tokenizer, for constraints: made once for all of them.
std::shared_ptr<const grammar::TokenTrie> token_trie(const OpenedModel& model);

// Lets tokens come whose bytes go on with a text of the grammar, and `stop_ids` where the text may
// end. The model must outlive the filter.
std::unique_ptr<generate::TokenFilter> constrain(
    const OpenedModel& model, std::shared_ptr<const grammar::Automaton> automaton,
    std::shared_ptr<const grammar::TokenTrie> trie, const std::set<int64_t>& stop_ids);

}  // namespace diptych::answer
