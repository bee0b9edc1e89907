#include "text/tiktoken_tokenizer.h"

#include <array>
#include <charconv>

#include "text/byte_pair_encoder.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace diptych::text {

namespace {

constexpr size_t kSpecials = 256;
// The specials that have names of their own, in order of id; the rest are
// <|reserved_special_token_N|>.
constexpr std::array<std::string_view, 12> kNamedSpecials = {
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|reserved_special_token_1|>",
    "<|finetune_right_pad_id|>",
    "<|step_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
    "<|image|>",
};
constexpr int kBeginOfText = 0, kEndOfText = 1;
constexpr std::string_view kReserved = "<|reserved_special_token_";
constexpr size_t kFirstUnnamedReserved = 2;  // numbers 0 and 1 have places among the named

std::string special_name_of(size_t number) {
  if (number < kNamedSpecials.size()) return std::string(kNamedSpecials[number]);
  return fmt::format("{}{}|>", kReserved, number - kNamedSpecials.size() + kFirstUnnamedReserved);
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

// Appends what `text` encodes (RFC 4648, padded); false when it is not base64 or encodes nothing.
bool decode_base64(std::string_view text, std::string& out) {
  if (text.empty() || text.size() % 4 != 0) return false;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool padded = i >= text.size() - padding;
    const int digit = padded ? 0 : base64_digit(text[i]);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (i % 4 != 3) continue;
    const size_t bytes = i + 1 == text.size() ? 3 - padding : 3;
    for (size_t j = 0; j < bytes; ++j) out += static_cast<char>(bits >> (16 - 8 * j));
    bits = 0;
  }
  return true;
}

// The tokens of a rank file by rank; views into `bytes`.
Result<std::vector<std::string_view>> read_ranks(std::string_view file, std::string& bytes) {
  struct Line {
    size_t start, size;
    uint64_t rank;
  };
  std::vector<Line> lines;
  bytes.reserve(file.size());
  size_t number = 0;
  for (std::string_view rest = file; !rest.empty();) {
    ++number;
    const size_t newline = rest.find('\n');
    std::string_view line = rest.substr(0, newline);
    rest = newline == rest.npos ? std::string_view() : rest.substr(newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const size_t space = line.find(' ');
    const size_t start = bytes.size();
    uint64_t rank = 0;
    bool good = space != line.npos && decode_base64(line.substr(0, space), bytes);
    if (good) {
      const char* const end = line.data() + line.size();
      const auto parsed = std::from_chars(line.data() + space + 1, end, rank);
      good = parsed.ec == std::errc() && parsed.ptr == end;
    }
    if (!good) return invalid_data("line {}: expected a token in base64 and its rank", number);
    lines.push_back({start, bytes.size() - start, rank});
  }
  std::vector<std::string_view> tokens(lines.size());
  for (const Line& line : lines) {
    if (line.rank >= tokens.size()) {
      return invalid_data("rank {} among {} tokens: expected ranks from 0 without gaps", line.rank,
                          tokens.size());
    }
    if (!tokens[line.rank].empty()) return invalid_data("rank {} occurs twice", line.rank);
    tokens[line.rank] = std::string_view(bytes).substr(line.start, line.size);
  }
  return tokens;
}

class TiktokenTokenizer : public Tokenizer {
 public:
  TiktokenTokenizer(BytePairEncoder encoder, PreTokenizer pre_tokenizer)
      : encoder_(std::move(encoder)), pre_tokenizer_(std::move(pre_tokenizer)) {}

  // Fills the pieces and the special tokens behind them.
  Status finish() {
    const auto size = static_cast<TokenId>(encoder_.size());
    pieces_.resize(encoder_.size());
    for (TokenId id = 0; id < size; ++id) pieces_[static_cast<size_t>(id)] = encoder_.token(id);
    std::vector<AddedToken> specials(kSpecials);
    for (size_t number = 0; number < kSpecials; ++number) {
      specials[number].id = size + static_cast<TokenId>(number);
      specials[number].content = special_name_of(number);
      specials[number].special = true;
    }
    TRY(set_added(std::move(specials)));
    set_ends(size + kBeginOfText, size + kEndOfText, {size + kBeginOfText});
    return {};
  }

  std::string_view kind() const override { return "tiktoken"; }

 private:
  bool replaces_invalid() const override { return false; }
  TokenId vocabulary_id(std::string_view token) const override { return encoder_.find(token); }
  Result<std::string> text_of(const AddedToken& token) const override {
    return token.special ? std::string() : token.content;
  }

  // Cut into valid UTF-8 and damaged bytes.
  Status encode_stretch(std::string_view text, bool, Work& work,
                        std::vector<TokenId>& ids) const override {
    std::vector<std::string_view> words;
    while (!text.empty()) {
      const size_t valid = valid_utf8_prefix(text);
      TRY(pre_tokenizer_.split(text.substr(0, valid), work, words));
      if (valid < text.size()) words.push_back(text.substr(valid, 1));
      text.remove_prefix(std::min(valid + 1, text.size()));
    }
    for (const std::string_view word : words) encoder_.encode(word, ids);
    return {};
  }

  BytePairEncoder encoder_;
  PreTokenizer pre_tokenizer_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> read_tiktoken(std::string_view file) {
  std::string bytes;
  auto encoder = TRY(BytePairEncoder::build(TRY(read_ranks(file, bytes))));
  auto pre_tokenizer = TRY(PreTokenizer::create());
  auto tokenizer =
      std::make_unique<TiktokenTokenizer>(std::move(encoder), std::move(pre_tokenizer));
  TRY(tokenizer->finish());
  return tokenizer;
}

}  // namespace diptych::text
