#include "generate/lookahead.h"

#include <algorithm>

#include "generate/sampler.h"

namespace diptych::generate {

LookaheadOptions fitting_lookahead(const contract::Description& model) {
  LookaheadOptions options;
  const contract::Function* verify = model.verify();
  const int64_t rows = verify == nullptr ? 0 : verify->method.tokens;
  // A window column and a branch at least.
  while (options.ngram_size > 2 && 2 * (options.ngram_size - 1) > rows) --options.ngram_size;
  const int64_t columns = rows / (2 * (options.ngram_size - 1));
  options.window = options.verifications = std::clamp<int64_t>(columns, 1, options.window);
  return options;
}

Result<Lookahead> Lookahead::create(const LookaheadOptions& options,
                                    const contract::Description& model, int64_t first) {
  const auto [n, w, g] = options;
  const contract::Function* verify = model.verify();
  if (verify == nullptr) {
    return hinted(
        unsupported("lookahead needs logits of all positions, method {} gives the last one only",
                    model.decode().method.name),
        Advice::AllLogits);
  }
  const contract::Method& function = verify->method;
  if (n < 2 || w < 1 || g < 1 || n > 64 || w > 1024 || g > 1024) {
    return invalid_argument(
        "lookahead needs an n-gram size of 2 or more and at least one window "
        "column and one verification, found {}, {} and {}",
        n, w, g);
  }
  const int64_t needed = (n - 1) * (w + g);
  if (needed > function.tokens) {
    return hinted(
        invalid_argument("lookahead with n-gram size {}, window {} and {} verifications needs {} "
                         "rows, method {} has {}",
                         n, w, g, needed, function.name, function.tokens),
        {Advice::LongerInput, needed});
  }
  return Lookahead(options, function.tokens, first);
}

Lookahead::Lookahead(const LookaheadOptions& options, int64_t capacity, int64_t first)
    : options_(options), levels_(options.ngram_size - 1), branches_at_(options.window * levels_) {
  const auto size = static_cast<size_t>(capacity);
  const int64_t window = options_.window;
  rows_.tokens.assign(size, first);
  rows_.positions.assign(size, 0);
  rows_.visible.assign(size * size, 0);
  rows_.used = levels_ * (options_.window + options_.verifications);
  offsets_.assign(size, 0);
  const auto show = [&](int64_t row, int64_t column) {
    rows_.visible[static_cast<size_t>(row * capacity + column)] = 1;
  };
  // Window: level i, column j is row window*i+j. It sees the first level up to its own column and
  // its own column on the levels above.
  for (int64_t level = 0; level < levels_; ++level) {
    for (int64_t column = 0; column < window; ++column) {
      const int64_t row = window * level + column;
      offsets_[static_cast<size_t>(row)] = level + column;
      for (int64_t c = 0; c <= column; ++c) show(row, c);
      for (int64_t above = 1; above <= level; ++above) show(row, window * above + column);
    }
  }
  // Branches: N-1 tokens after the current one, each branch on its own.
  for (int64_t row = branches_at_; row < capacity; ++row) {
    show(row, 0);
    const int64_t branch = (row - branches_at_) / levels_, depth = (row - branches_at_) % levels_;
    if (branch >= options_.verifications) {
      show(row, row);  // unused row
      continue;
    }
    offsets_[static_cast<size_t>(row)] = depth + 1;
    for (int64_t d = 0; d <= depth; ++d) show(row, branches_at_ + branch * levels_ + d);
  }
}

int64_t Lookahead::positions_needed() const {
  return std::max(options_.ngram_size, levels_ + options_.window);
}

void Lookahead::fill_branches(int64_t token) {
  const auto known = pool_.find(token);
  if (known == pool_.end()) return;
  auto out = rows_.tokens.begin() + branches_at_;
  for (const auto& continuation : known->second)
    out = std::copy(continuation.begin(), continuation.end(), out);
}

void Lookahead::remember(const std::vector<int64_t>& predicted) {
  const int64_t window = options_.window;
  for (int64_t column = 0; column < window; ++column) {
    std::vector<int64_t> continuation;
    for (int64_t level = 1; level < levels_; ++level) {
      continuation.push_back(rows_.tokens[static_cast<size_t>(window * level + column)]);
    }
    continuation.push_back(predicted[static_cast<size_t>(window * (levels_ - 1) + column)]);
    auto& known = pool_[rows_.tokens[static_cast<size_t>(column)]];
    if (std::find(known.begin(), known.end(), continuation) != known.end()) continue;
    known.push_back(std::move(continuation));
    if (static_cast<int64_t>(known.size()) > options_.verifications) known.pop_front();
  }
}

void Lookahead::shift_window(const std::vector<int64_t>& predicted) {
  const int64_t window = options_.window, last = window * (levels_ - 1);
  std::copy(rows_.tokens.begin() + window, rows_.tokens.begin() + branches_at_,
            rows_.tokens.begin());
  std::copy_n(predicted.begin() + last, window, rows_.tokens.begin() + last);
}

Result<std::vector<int64_t>> Lookahead::step(Session& session, int64_t token) {
  rows_.tokens[0] = token;
  fill_branches(token);
  for (size_t row = 0; row < offsets_.size(); ++row) {
    rows_.positions[row] = session.position() + offsets_[row];
  }
  const std::span<const float> logits = TRY(session.evaluate_rows(rows_));
  const auto vocab = static_cast<size_t>(session.model().vocab_size);
  std::vector<int64_t> predicted(static_cast<size_t>(rows_.used));
  for (size_t row = 0; row < predicted.size(); ++row)
    predicted[row] = argmax(logits.subspan(row * vocab, vocab));

  // Other rows are guesses; where nothing can be told from one, its guess is as good as any.
  TRY(likeliest(logits.first(vocab)));
  session.keep_row(0, token);
  std::vector<int64_t> accepted = {predicted[0]};
  remember(predicted);

  // The branch whose tokens agree longest with what the model predicts; the first of equals.
  int64_t best_row = 0, best_length = 0;
  for (int64_t branch = 0; branch < options_.verifications; ++branch) {
    const int64_t first = branches_at_ + branch * levels_;
    int64_t length = 0, expected = predicted[0];
    while (length < levels_ && rows_.tokens[static_cast<size_t>(first + length)] == expected) {
      if (!likeliest(logits.subspan(static_cast<size_t>(first + length) * vocab, vocab))) break;
      expected = predicted[static_cast<size_t>(first + length)];
      ++length;
    }
    if (length > best_length) {
      best_length = length;
      best_row = first;
    }
  }
  for (int64_t i = 0; i < best_length; ++i) {
    session.keep_row(best_row + i, rows_.tokens[static_cast<size_t>(best_row + i)]);
    accepted.push_back(predicted[static_cast<size_t>(best_row + i)]);
  }
  shift_window(predicted);
  return accepted;
}

}  // namespace diptych::generate
