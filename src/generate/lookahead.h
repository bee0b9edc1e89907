// Lookahead decoding: several tokens per call of a function that gives the logits after each, equal
// to greedy decoding.
//
// Paper: Fu et al., "Break the Sequential Dependency of LLM Inference Using Lookahead Decoding",
// 2024. Layout of the rows as in ExecuTorch's static attention I/O manager.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "generate/session.h"

namespace diptych::generate {

struct LookaheadOptions {
  int64_t ngram_size = 5;     // N
  int64_t window = 4;         // W
  int64_t verifications = 4;  // G
};

// The largest sizes up to the defaults that the model's function for verification has rows for.
LookaheadOptions fitting_lookahead(const contract::Description& model);

class Lookahead {
 public:
  // `first`, the token that decoding starts from, fills the window. Errors: N, W or G out of range;
  // no function for verification in the model; its tokens are fewer than the (N-1)*(W+G) rows.
  static Result<Lookahead> create(const LookaheadOptions& options,
                                  const contract::Description& model, int64_t first);

  // Takes one step from `token`, which is not evaluated yet. On success returns the accepted tokens
  // that follow it, at least one. The session's cache then holds `token` and all of them but the
  // last.
  Result<std::vector<int64_t>> step(Session& session, int64_t token);

  int64_t rows() const { return rows_.used; }  // that a step evaluates

  // How many free slots of the cache and how many positions a step may need (Session::rows_fit):
  // those of `token` and N-1 accepted tokens, or those that the window reaches.
  int64_t positions_needed() const;

 private:
  Lookahead(const LookaheadOptions& options, int64_t capacity, int64_t first);
  void fill_branches(int64_t token);
  void remember(const std::vector<int64_t>& predicted);
  void shift_window(const std::vector<int64_t>& predicted);

  LookaheadOptions options_;
  int64_t levels_;       // N-1: rows of a window column, tokens of a branch
  int64_t branches_at_;  // first row of the branches
  Session::Rows rows_;
  std::vector<int64_t> offsets_;  // of each row's position from the current one
  // For each token, the latest G distinct continuations of N-1 tokens seen after it.
  std::unordered_map<int64_t, std::deque<std::vector<int64_t>>> pool_;
};

}  // namespace diptych::generate
