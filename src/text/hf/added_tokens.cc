#include "text/hf/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>
#include <set>

#include "text/hf/component.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace diptych::text::hf {

namespace {

// Beyond any real file; the trie has a node per byte.
constexpr size_t kMaxContentBytes = 4 << 20;
constexpr size_t kMaxTokenBytes = 1024;  // and a search may walk this far at every byte

// The start of the character that ends before `at`.
size_t character_before(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80);
  return at;
}

// \w as Unicode's guidelines for regular expressions define it.
bool is_word(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
             (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
             (c >= 0x1F170 && c <= 0x1F189);
  }
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word(first_character(text.substr(character_before(text, begin))))) {
    return false;
  }
  return end == text.size() || !is_word(first_character(text.substr(end)));
}

size_t space_start(std::string_view text, size_t from, size_t end) {
  while (end > from) {
    const size_t before = character_before(text, end);
    if (!is_white_space(first_character(text.substr(before)))) break;
    end = before;
  }
  return std::max(from, end);
}

size_t space_end(std::string_view text, size_t at) {
  while (at < text.size() && is_white_space(first_character(text.substr(at)))) {
    at += next_utf8(text.substr(at)).size;
  }
  return at;
}

Result<AddedToken> read_token(const Json& json) {
  AddedToken token;
  const int64_t id = TRY(json_int(json, "id"));
  if (id < 0 || id > INT32_MAX) return invalid_data("\"id\": expected a token id, found {}", id);
  token.id = static_cast<TokenId>(id);
  token.content = TRY(json_string(json, "content"));
  token.single_word = TRY(bool_or(json, "single_word", false));
  token.lstrip = TRY(bool_or(json, "lstrip", false));
  token.rstrip = TRY(bool_or(json, "rstrip", false));
  token.special = TRY(bool_or(json, "special", false));
  token.normalized = TRY(bool_or(json, "normalized", !token.special));
  if (token.content.empty()) return invalid_data("the token {} is empty", id);
  return token;
}

}  // namespace

void AddedTokens::insert(Trie& trie, std::string_view content, uint32_t token) {
  uint32_t at = 0;
  for (const char c : content) {
    auto& children = trie[at].children;
    const auto found = std::find_if(children.begin(), children.end(),
                                    [c](const auto& child) { return child.first == c; });
    if (found != children.end()) {
      at = found->second;
      continue;
    }
    const auto created = static_cast<uint32_t>(trie.size());
    children.emplace_back(c, created);
    trie.emplace_back();
    at = created;
  }
  if (trie[at].token == UINT32_MAX) trie[at].token = token;
}

Result<AddedTokens> AddedTokens::read(const Json& json, const Normalizer& normalizer) {
  AddedTokens added;
  if (json.is_null()) return added;
  if (!json.is_array()) return invalid_data("expected an array");
  size_t bytes = 0;
  std::set<std::string> contents;
  std::set<TokenId> ids;
  for (const Json& entry : json) {
    const size_t index = added.tokens_.size();
    AddedToken token = TRY(within(fmt::format("entry {}", index), read_token(entry)));
    if (!contents.insert(token.content).second) {
      return invalid_data("entry {}: the token {} occurs twice", index, in_quotes(token.content));
    }
    if (!ids.insert(token.id).second) {
      return invalid_data("entry {}: the id {} occurs twice", index, token.id);
    }
    token.normalized_content = token.content;
    if (token.normalized) token.normalized_content = TRY(normalizer.apply(token.content));
    bytes += token.normalized_content.size();
    if (token.normalized_content.size() > kMaxTokenBytes || bytes > kMaxContentBytes) {
      return unsupported("entry {}: more than {} bytes of one token or {} of all", index,
                         kMaxTokenBytes, kMaxContentBytes);
    }
    insert(token.normalized ? added.normalized_ : added.plain_, token.normalized_content,
           static_cast<uint32_t>(index));
    added.tokens_.push_back(std::move(token));
  }
  return added;
}

const AddedToken* AddedTokens::longest_at(const Trie& trie, std::string_view text,
                                          size_t* size) const {
  const AddedToken* longest = nullptr;
  uint32_t at = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto& children = trie[at].children;
    const auto found = std::find_if(children.begin(), children.end(),
                                    [c = text[i]](const auto& child) { return child.first == c; });
    if (found == children.end()) break;
    at = found->second;
    if (trie[at].token == UINT32_MAX) continue;
    longest = &tokens_[trie[at].token];
    *size = i + 1;
  }
  return longest;
}

std::vector<Segment> AddedTokens::split(std::string_view text, bool normalized,
                                        bool with_specials) const {
  const Trie& trie = normalized ? normalized_ : plain_;
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t at = 0; at < text.size() && trie.size() > 1;) {
    size_t size = 0;
    const AddedToken* token = longest_at(trie, text.substr(at), &size);
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + size;
    at = end;
    if (token->special && !with_specials) continue;
    if (token->single_word && !stands_alone(text, begin, end)) continue;
    if (token->lstrip) begin = space_start(text, std::min(done, begin), begin);
    if (token->rstrip) end = space_end(text, end);
    begin = std::max(begin, std::min(done, end));
    if (done < begin) segments.push_back({done, begin});
    segments.push_back({begin, end, token->id});
    done = std::max(done, end);
  }
  if (done < text.size()) segments.push_back({done, text.size()});
  return segments;
}

}  // namespace diptych::text::hf
