// Calls of a language model's functions, as a runner makes them.
#pragma once

#include <span>
#include <vector>

#include "compare/evaluate.h"
#include "compare/subject.h"
#include "generate/kv_cache.h"

namespace diptych::compare {

// What a call evaluates: `tokens`, of which there are at most as many as the function takes, after
// those in the cache. Functions that give one position's logits give those after tokens[last].
struct Call {
  const Function* function = nullptr;
  std::vector<int64_t> tokens;
  int64_t last = 0;
  int64_t base = 0;  // tokens in the cache

  int64_t used() const { return static_cast<int64_t>(tokens.size()); }
};

// Ids for where no text says which: they spread over the vocabulary.
std::vector<int64_t> made_up_tokens(int64_t vocab_size, int64_t count);

// The inputs of a call with what the cache holds.
std::vector<Feed> feeds_of(const contract::Description& model, const Call& call,
                           const generate::KvCache& cache);

// The outputs of a function that take part: of each layer the new keys and values, then the logits.
std::vector<const mil::Value*> outputs_of(const Function& function);

// Appends row `row` of what outputs_of() gave in a call to the cache. `outputs` are the elements.
void append(const contract::Description& model, const Function& function,
            std::span<const std::vector<float>> outputs, int64_t row, generate::KvCache& cache);

}  // namespace diptych::compare
