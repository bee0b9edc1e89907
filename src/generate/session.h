// A conversation with a static-attention model: the KV cache, and the evaluation of tokens against
// it.
//
// Unlike upstream's, it has no silent sliding window: tokens that no longer fit the cache form a
// tail that is evaluated again with each call, so that all max_context positions are usable and
// exact.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "contract/reader.h"
#include "generate/call_cost.h"
#include "generate/kv_cache.h"
#include "generate/planner.h"
#include "runtime/method.h"
#include "runtime/program.h"

namespace diptych::generate {

// Reads off the contract that a program's methods follow: those of the model itself, or those that
// compute with an adapter of this name. Errors say which part a file breaks; NotFound for an
// adapter that it does not have, with a list of those that it has.
Result<contract::Description> describe(const runtime::Program& program,
                                       std::string_view adapter = {});

// The names of the adapters that a program's methods compute with, in the order of the methods.
std::vector<std::string> adapters(const runtime::Program& program);

struct MethodStatistics {
  uint64_t calls = 0;
  uint64_t rows = 0;  // that counted
  double seconds = 0;
};

class Session {
 public:
  // Loads the model's methods, or those of an adapter. Errors: those of describe() and
  // Program::load_method().
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<runtime::Program> program,
                                                 std::string_view adapter = {});

  const contract::Description& model() const { return model_; }
  // The number of tokens evaluated so far, which is the position of the next token.
  int64_t position() const { return static_cast<int64_t>(history_.size()); }
  // These tokens; the span stays valid until the next call that evaluates or rewinds.
  std::span<const int64_t> tokens() const { return history_; }
  int64_t remaining() const { return model_.max_context - position(); }

  // Evaluates `tokens` after those that were evaluated before, in the calls that take the least
  // time (generate/planner.h). On success returns the logits [vocab_size] after the last token; the
  // span stays valid until the next evaluation. Partitions that only make logits run for the last
  // call alone. Errors: InvalidArgument, before anything is computed, for no tokens, for more than
  // remaining(), or for ids outside the vocabulary; Cancelled when `cancelled`, which is asked
  // between calls, returned true: what was evaluated stays.
  Result<std::span<const float>> evaluate(std::span<const int64_t> tokens,
                                          const std::function<bool()>& cancelled = {});
  // Lets evaluate() call this function only, whatever it takes, or any again; to measure them.
  void use_only(std::optional<size_t> function) { only_ = function; }
  // The calls of the last evaluate(); functions are indices of model().functions.
  std::span<const PlannedCall> calls() const { return calls_; }
  // Evaluates `tokens` and calls `visit` with the logits after each of them, in order. Where no
  // function gives the logits of all its tokens, they are evaluated one by one. Errors: those of
  // evaluate(); an error of `visit`, which ends the evaluation.
  using Visitor = std::function<Status(size_t index, std::span<const float> logits)>;
  Status evaluate_each(std::span<const int64_t> tokens, const Visitor& visit);
  // Evaluates one token for each of several conversations, tokens[i] after what sessions[i] has
  // evaluated: every weight is read once for all. Afterwards logits() of each are the same bits as
  // by evaluate(). The sessions are of one Program. Errors: InvalidArgument, before anything is
  // computed, for sessions of several programs, one session twice, or a token that evaluate() would
  // refuse. If one fails later, the sessions are not to be used any more.
  static Status evaluate_together(std::span<Session* const> sessions,
                                  std::span<const int64_t> tokens);
  // What the last evaluation gave: [vocab_size], or of evaluate_rows() a row for each that counted.
  std::span<const float> logits() const { return logits_; }
  // Forgets the tokens from `position` on, as though they had never been evaluated. `position` must
  // not be beyond position(). Where layers with a window have lost what the next token needs, which
  // begins a window's length back (KvCache::rewind()), the next evaluation evaluates all tokens
  // anew.
  void rewind(int64_t position);
  // Takes all memory of the cache now instead of while tokens are evaluated.
  void populate_cache() const { cache_.populate(); }
  // How many of the first of `tokens` are in the cache and would stay there in a rewind to them:
  // the next evaluation can begin behind them.
  int64_t held_of(std::span<const int64_t> tokens) const;
  // The first `tokens` of what a session of the same program has evaluated count as evaluated here,
  // and nothing else; at most other.held_of() of anything.
  void copy_from(const Session& other, int64_t tokens);
  // Whether the keys and values of a session can be written and read back: every row of every layer
  // must be there, so no layer may have a window.
  bool can_save() const { return cache_.layers_with_window().empty(); }
  // The keys and values of the first saved_tokens() of tokens(), and back: after read_rows() the
  // session has evaluated `tokens`. The rows' sizes are checked, their values cannot be.
  int64_t saved_tokens() const { return cache_.tokens(); }
  Status write_rows(Sink& sink) const { return cache_.write_rows(sink); }
  Status read_rows(Bytes rows, std::span<const int64_t> tokens);
  uint64_t cache_bytes() const { return cache_.bytes(); }  // of memory, once the cache is full
  uint64_t row_bytes() const { return KvCache::row_bytes(model_); }

  // --- For lookahead: calls of model().verify() with rows that the caller makes. ---
  struct Rows {
    std::vector<int64_t> tokens;     // T entries
    std::vector<int64_t> positions;  // T entries, absolute
    std::vector<uint8_t> visible;    // [T, T]: row r sees new column c
    int64_t used = 0;                // the first so many count; they see none of the others
  };
  // Whether evaluate_rows() can be called: all tokens are in the cache, and there is room for
  // `needed` more in the cache and among the positions.
  bool rows_fit(int64_t needed) const;
  // Evaluates the rows against the cache. On success returns the logits [used, vocab_size]; the
  // span stays valid until the next evaluation. Nothing is added to the cache.
  Result<std::span<const float>> evaluate_rows(const Rows& rows);
  // Appends the keys and values of row `row` of the last evaluate_rows() to the cache.
  void keep_row(int64_t row, int64_t token);

  // Seconds that evaluate() of one token and evaluate_rows() are expected to take, from what calls
  // took so far and what their functions compute.
  double decoding_seconds() const;
  // Of evaluate() of several, by the function that alone would be the fastest.
  double evaluating_seconds(int64_t tokens) const;
  double verifying_seconds(int64_t rows) const;

  const std::map<std::string, MethodStatistics>& statistics() const { return statistics_; }
  engine::Overflows overflows() const;
  // Calls Method::observe() of all methods.
  void observe(engine::RunObserver* observer);

 private:
  // A loaded method with the buffers that are its own.
  struct Loaded {
    const contract::Function* function = nullptr;
    std::unique_ptr<runtime::Method> method;
    std::vector<int32_t> tokens;                   // [T]
    std::vector<int64_t> positions;                // [T]
    std::vector<std::vector<std::byte>> masks;     // by layer class: [T, C+T]
    std::vector<std::vector<std::byte>> cos, sin;  // by RoPE table: [T, rope_width]
    int64_t last_position = 0;
    std::vector<std::byte> logits;
    FreshRows fresh;
  };

  // What one call evaluated: rows [0, tail) are of tokens of the tail, rows [tail, rows) of new
  // ones.
  struct Chunk {
    const Loaded* loaded = nullptr;
    int64_t tail = 0, rows = 0;
  };

  explicit Session(KvCache cache) : cache_(std::move(cache)) {}
  Status check_tokens(std::span<const int64_t> tokens) const;
  // The smallest function that takes all rows at once, or else the largest.
  Loaded& function_for(int64_t rows);
  // The same among those that give the logits after each row; null when there is none.
  Loaded* all_logits_function_for(int64_t rows);
  Loaded& verifying();  // model().verify(), which must be there
  // Which calls compute logits: all, only the one that takes the last of the tokens, or none.
  enum class Logits { Always, AtTheEnd, None };
  // Evaluates what is not in the cache and as many of the tokens as `rows` has room for, at most
  // all.
  // The parts of evaluate_chunk(): the inputs of a call, what a method computes of it, and what is
  // kept of it.
  Result<Chunk> begin_chunk(Loaded& loaded, std::span<const int64_t> tokens, int64_t rows);
  Status prepare(Loaded& loaded, int64_t rows, bool with_logits);
  void keep_chunk(const Chunk& chunk);
  Result<Chunk> evaluate_chunk(Loaded& loaded, std::span<const int64_t> tokens, int64_t rows,
                               Logits logits);
  // Chooses the calls for so many rows.
  void plan(int64_t rows);
  // Evaluates tokens that the cache lost in a rewind, so that none is left that would fit it.
  Status catch_up();
  Status bind_cache(Loaded& loaded, size_t layer);
  Status add_function(const contract::Function& function,
                      std::unique_ptr<runtime::Method> loaded_method);
  void set_position_row(Loaded& loaded, int64_t row, int64_t position);
  void set_visible(Loaded& loaded, int64_t row, const uint8_t* new_columns);
  // Runs a method, of whose rows the first `rows` count. The call began at `start`.
  Status run(Loaded& loaded, int64_t rows, bool with_logits, Clock::time_point start);
  std::span<const float> logits_of(const Loaded& loaded, int64_t first_row, int64_t rows);

  std::shared_ptr<runtime::Program> program_;
  contract::Description model_;
  std::vector<Loaded> loaded_;  // one for each of model_.functions
  KvCache cache_;
  std::vector<int64_t> history_;  // all tokens; those that are not in the cache are the tail
  std::vector<float> logits_;
  std::map<std::string, MethodStatistics> statistics_;
  CallCosts costs_;  // of loaded_
  std::vector<Choice> choices_;
  std::optional<size_t> only_;  // of choices_
  std::vector<PlannedCall> calls_;
};

}  // namespace diptych::generate
