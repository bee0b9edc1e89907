#include "text/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/in_quotes.h"
#include "base/json.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace diptych::text {

namespace {

// Beyond any real file; the search has a state per byte.
constexpr size_t kMaxContentBytes = 16 << 20;

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

// The character at `at`, or none that is a letter or white space where the text is damaged.
char32_t character_at(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  return next_utf8(rest).state == Utf8State::Complete ? first_character(rest) : 0;
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word(character_at(text, character_before(text, begin)))) {
    return false;
  }
  return end == text.size() || !is_word(character_at(text, end));
}

size_t space_start(std::string_view text, size_t from, size_t end) {
  while (end > from) {
    const size_t before = character_before(text, end);
    if (!is_white_space(character_at(text, before))) break;
    end = before;
  }
  return std::max(from, end);
}

size_t space_end(std::string_view text, size_t at) {
  while (at < text.size() && is_white_space(character_at(text, at))) {
    at += next_utf8(text.substr(at)).size;
  }
  return at;
}

Result<bool> flag(const Json& json, const char* key, bool otherwise) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return otherwise;
  return json_bool(json, key);
}

}  // namespace

Result<AddedToken> AddedToken::read(const Json& json) {
  AddedToken token;
  token.content = TRY(json_string(json, "content"));
  token.single_word = TRY(flag(json, "single_word", false));
  token.lstrip = TRY(flag(json, "lstrip", false));
  token.rstrip = TRY(flag(json, "rstrip", false));
  token.special = TRY(flag(json, "special", false));
  token.normalized = TRY(flag(json, "normalized", !token.special));
  return token;
}

Json AddedToken::to_json() const {
  return {{"content", content}, {"single_word", single_word}, {"lstrip", lstrip},
          {"rstrip", rstrip},   {"normalized", normalized},   {"special", special}};
}

Result<AddedTokens> AddedTokens::build(std::vector<AddedToken> tokens) {
  AddedTokens added;
  added.tokens_ = std::move(tokens);
  size_t bytes = 0;
  std::vector<std::string_view> plain, normalized;
  for (uint32_t i = 0; i < added.tokens_.size(); ++i) {
    const AddedToken& token = added.tokens_[i];
    bytes += token.content.size() + token.normalized_content.size();
    if (bytes > kMaxContentBytes) {
      return unsupported("the added tokens have more than {} bytes", kMaxContentBytes);
    }
    added.by_content_.emplace(token.content, i);
    added.by_id_.emplace(token.id, i);
    (token.normalized ? normalized : plain).push_back(token.normalized_content);
    (token.normalized ? added.normalized_ : added.plain_).tokens.push_back(i);
  }
  added.plain_.search = TokenSearch(plain);
  added.normalized_.search = TokenSearch(normalized);
  return added;
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

Result<std::vector<Segment>> AddedTokens::split(std::string_view text, bool normalized,
                                                bool with_specials, Work& work) const {
  const Part& part = normalized ? normalized_ : plain_;
  std::vector<Segment> segments;
  size_t done = 0;
  size_t space_until = 0;  // white space reaches so far from where it was last looked for
  for (size_t at = 0; at < text.size();) {
    const auto found = TRY(part.search.find(text, at, work));
    if (!found) break;
    const AddedToken& token = tokens_[part.tokens[found->index]];
    size_t begin = found->begin, end = found->end;
    at = end;
    if (token.special && !with_specials) continue;
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    if (token.lstrip) begin = space_start(text, std::min(done, begin), begin);
    if (token.rstrip) end = space_until = space_end(text, std::max(end, space_until));
    begin = std::max(begin, std::min(done, end));
    if (done < begin) segments.push_back({done, begin});
    segments.push_back({begin, end, token.id});
    done = std::max(done, end);
  }
  if (done < text.size()) segments.push_back({done, text.size()});
  return segments;
}

}  // namespace diptych::text
