#include "text/bpe_model.h"

#include <algorithm>
#include <bit>

#include "base/in_quotes.h"
#include "text/utf8.h"

namespace diptych::text {

namespace {

constexpr uint32_t kNone = UINT32_MAX;

// A token of the word that is being merged; they form a doubly linked list.
struct Part {
  TokenId id;
  uint32_t previous, next;
};

// A merge that was possible when it was seen.
struct Candidate {
  uint32_t rank, left;
  TokenId result;

  // For a heap with the lowest rank, then the leftmost, on top.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

uint64_t pair_of(TokenId left, TokenId right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

size_t hash(uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15u;  // 2^64 over the golden ratio: spreads neighbouring ids
  return static_cast<size_t>(pair ^ pair >> 32);
}

}  // namespace

BpeModel::Merge& BpeModel::slot_of(uint64_t pair) {
  const size_t mask = merges_.size() - 1;
  size_t slot = hash(pair) & mask;
  while (merges_[slot].pair != kNoPair && merges_[slot].pair != pair) slot = (slot + 1) & mask;
  return merges_[slot];
}

const BpeModel::Merge* BpeModel::find(TokenId left, TokenId right) const {
  const uint64_t pair = pair_of(left, right);
  const size_t mask = merges_.size() - 1;
  for (size_t slot = hash(pair) & mask; merges_[slot].pair != kNoPair; slot = (slot + 1) & mask) {
    if (merges_[slot].pair == pair) return &merges_[slot];
  }
  return nullptr;
}

Result<BpeModel> BpeModel::build(
    Vocabulary vocabulary, const std::vector<std::pair<std::string_view, std::string_view>>& merges,
    const BpeOptions& options) {
  BpeModel model(std::move(vocabulary), options);
  model.merges_.resize(std::bit_ceil(2 * merges.size() + 2));
  std::string whole;
  uint32_t rank = 0;
  for (const auto& [left, right] : merges) {
    whole.assign(left).append(right);
    for (const std::string_view token : {left, right, std::string_view(whole)}) {
      if (model.vocabulary_.find(token) != kNoToken) continue;
      return invalid_data("merge {} ({} {}) needs the token {}, which the vocabulary lacks", rank,
                          in_quotes(left), in_quotes(right), in_quotes(token));
    }
    const uint64_t pair = pair_of(model.vocabulary_.find(left), model.vocabulary_.find(right));
    model.slot_of(pair) = {pair, rank++, model.vocabulary_.find(whole)};
  }
  for (int byte = 0; byte < 256; ++byte) {
    model.bytes_[byte] = model.vocabulary_.find(fmt::format("<0x{:02X}>", byte));
  }
  return model;
}

void BpeModel::start(std::string_view word, std::vector<TokenId>& ids) const {
  // Bytes that stand in for a character do not end a run of unknown ones: the run's token then
  // comes after them. Quirk of the original.
  bool unknown = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, next_utf8(word).size);
    word.remove_prefix(character.size());
    const TokenId id = vocabulary_.find(character);
    if (id != kNoToken) {
      if (unknown) ids.push_back(options_.unknown);
      unknown = false;
      ids.push_back(id);
      continue;
    }
    const auto byte_token = [&](char c) { return bytes_[static_cast<uint8_t>(c)]; };
    if (options_.byte_fallback && std::none_of(character.begin(), character.end(),
                                               [&](char c) { return byte_token(c) == kNoToken; })) {
      for (const char c : character) ids.push_back(byte_token(c));
    } else if (options_.unknown != kNoToken) {
      if (unknown && !options_.fuse_unknown) ids.push_back(options_.unknown);
      unknown = true;
    }
  }
  if (unknown) ids.push_back(options_.unknown);
}

void BpeModel::encode(std::string_view word, std::vector<TokenId>& ids) const {
  if (options_.ignore_merges) {
    if (const TokenId whole = vocabulary_.find(word); whole != kNoToken) {
      ids.push_back(whole);
      return;
    }
  }
  std::vector<TokenId> characters;
  start(word, characters);
  const auto count = static_cast<uint32_t>(characters.size());
  if (count < 2) {
    ids.insert(ids.end(), characters.begin(), characters.end());
    return;
  }
  std::vector<Part> parts(count);
  for (uint32_t i = 0; i < count; ++i) {
    parts[i] = {characters[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  }
  std::vector<Candidate> heap;
  const auto consider = [&](uint32_t left) {
    if (left == kNone || parts[left].next == kNone) return;
    const Merge* merge = find(parts[left].id, parts[parts[left].next].id);
    if (merge == nullptr) return;
    heap.push_back({merge->rank, left, merge->result});
    std::push_heap(heap.begin(), heap.end());
  };
  for (uint32_t i = 0; i < count; ++i) consider(i);

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate candidate = heap.back();
    heap.pop_back();
    Part& left = parts[candidate.left];
    if (left.id == kNoToken || left.next == kNone) continue;
    Part& right = parts[left.next];
    // What merged meanwhile may have left another pair here, or one that gives the same token.
    const Merge* merge = find(left.id, right.id);
    if (merge == nullptr || merge->result != candidate.result) continue;
    left.id = candidate.result;
    right.id = kNoToken;
    left.next = right.next;
    if (left.next != kNone) parts[left.next].previous = candidate.left;
    consider(left.previous);
    consider(candidate.left);
  }
  for (uint32_t i = 0; i != kNone; i = parts[i].next) ids.push_back(parts[i].id);
}

}  // namespace diptych::text
