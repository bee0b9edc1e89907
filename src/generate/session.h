// A conversation with a static-attention model: the KV cache, and the evaluation of tokens against
// it.
//
// Policy (upstream calls it "smart mask"): masks are additive, 0 visible and -inf hidden;
// cache slots below the number of cached tokens are visible to all rows, new tokens causally. Only
// real tokens are written to the cache, never padding. Unlike upstream there is no silent sliding
// window: tokens that no longer fit the cache stay in a tail that is evaluated again with each
// call, so that all max_context positions are usable and exact.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/zeroed_memory.h"
#include "contract/reader.h"
#include "runtime/method.h"
#include "runtime/program.h"

namespace diptych::generate {

// The contract that a program's methods follow. Errors say which part of it the file breaks.
Result<contract::Description> describe(const runtime::Program& program);

struct MethodStatistics {
  uint64_t calls = 0;
  double seconds = 0;
};

class Session {
 public:
  // Loads the model's methods; errors of loading name all that is unsupported.
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<runtime::Program> program);

  const contract::Description& model() const { return model_; }
  // Tokens evaluated so far = the position of the next token.
  int64_t position() const { return static_cast<int64_t>(history_.size()); }
  std::span<const int64_t> tokens() const { return history_; }  // those, until the next call
  int64_t remaining() const { return model_.max_context - position(); }

  // Evaluates `tokens` after those that were evaluated before, in as few calls as possible, and
  // gives the logits [vocab_size] after the last one; valid until the next call. Partitions that
  // make nothing but logits only run for that one. More tokens than remaining(), none at all, or
  // ids outside the vocabulary are errors, before any computation. `cancelled`, where given, is
  // asked between calls; when it says so the error is Cancelled, and what has been evaluated stays.
  Result<std::span<const float>> evaluate(std::span<const int64_t> tokens,
                                          const std::function<bool()>& cancelled = {});
  // The same, telling `visit` the logits after each of the tokens, in order: as many of one call as
  // a function gives, so token by token where only the last ones come out. An error of `visit`
  // ends the evaluation.
  using Visitor = std::function<Status(size_t index, std::span<const float> logits)>;
  Status evaluate_each(std::span<const int64_t> tokens, const Visitor& visit);
  // Forgets the tokens from `position` on, which must not be beyond position(), as though they had
  // never been evaluated.
  void rewind(int64_t position);

  // --- For lookahead: one call of model().verify() with rows of the caller's making. ---
  struct Rows {
    std::vector<int64_t> tokens;     // T entries
    std::vector<int64_t> positions;  // T entries, absolute
    std::vector<uint8_t> visible;    // [T, T]: row r sees new column c
    int64_t used = 0;                // the first of them, which see none of the others
  };
  // Whether a Rows call fits: all tokens are in the cache, which has room for `needed` more, as has
  // the RoPE table.
  bool rows_fit(int64_t needed) const;
  // Evaluates the rows against the cache and gives their logits [used, vocab_size].
  Result<std::span<const float>> evaluate_rows(const Rows& rows);
  // Appends the keys and values of row `row` of the last evaluate_rows() to the cache.
  void keep_row(int64_t row, int64_t token);

  const std::map<std::string, MethodStatistics>& statistics() const { return statistics_; }
  engine::Overflows overflows() const;
  // Method::observe() of all methods.
  void observe(engine::RunObserver* observer);

 private:
  // A loaded method with the buffers that are its own.
  struct Loaded {
    const contract::Function* function = nullptr;
    std::unique_ptr<runtime::Method> method;
    std::vector<int32_t> tokens;                   // [T]
    std::vector<std::vector<std::byte>> masks;     // by layer class: [T, C+T]
    std::vector<std::vector<std::byte>> cos, sin;  // by RoPE table: [T, rope_width]
    int64_t last_position = 0;
    std::vector<std::byte> logits;
    std::vector<std::vector<std::byte>> keys, values;  // new ones by layer: [kv_heads, T, head_dim]
  };

  // What one call evaluated: rows [tail, rows) are of new tokens, those before of the tail.
  struct Chunk {
    const Loaded* loaded = nullptr;
    int64_t tail = 0, rows = 0;
  };

  Session() = default;
  Status check_tokens(std::span<const int64_t> tokens) const;
  // The smallest function that takes all rows at once, else the largest.
  Loaded& function_for(int64_t rows);
  // The same of those that give the logits after each row; null when there is none.
  Loaded* all_logits_function_for(int64_t rows);
  Loaded& verifying();  // model().verify(), which must be there
  // Which calls compute logits: all, or only the one that takes the last of the tokens.
  enum class Logits { Always, AtTheEnd };
  Result<Chunk> evaluate_chunk(Loaded& loaded, std::span<const int64_t> tokens, Logits logits);
  Status make_caches();
  Status add_function(const contract::Function& function,
                      std::unique_ptr<runtime::Method> loaded_method);
  void set_position_row(Loaded& loaded, int64_t row, int64_t position);
  void set_visible(Loaded& loaded, int64_t row, int64_t cached, const uint8_t* new_columns);
  void store_row(const Loaded& loaded, int64_t row);
  // The method, of whose rows the first `rows` are asked for.
  Status run(Loaded& loaded, int64_t rows, bool with_logits);
  std::span<const float> logits_of(const Loaded& loaded, int64_t first_row, int64_t rows);

  std::shared_ptr<runtime::Program> program_;
  contract::Description model_;
  std::vector<Loaded> loaded_;  // one for each of model_.functions
  ZeroedMemory caches_;
  std::vector<MutableBytes> key_cache_, value_cache_;  // by layer: [kv_heads, C, head_dim]
  int64_t cached_ = 0;                                 // tokens in the cache, slots 0..cached_-1
  std::vector<int64_t> history_;  // all tokens; those from cached_ on are the tail
  std::vector<float> logits_;
  std::map<std::string, MethodStatistics> statistics_;
};

}  // namespace diptych::generate
