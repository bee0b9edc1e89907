#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <bitset>
#include <charconv>
#include <exception>
#include <map>

#include "text/sentencepiece_check.h"

namespace diptych::text {

namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581, a space within pieces

// The library quotes pieces in its messages; ours are one printable line.
tl::unexpected<Error> library_error(ErrorCode code, std::string_view action, std::string message) {
  for (char& c : message) {
    if (c < ' ' || c > '~') c = '?';
  }
  return fail(code, "SentencePiece cannot {}: {}", action, message);
}

// A call of the library, which reports by status and, from its trie builder, by exception.
template <class Call>
Status guarded(ErrorCode code, std::string_view action, Call call) {
  try {
    const sentencepiece::util::Status status = call();
    if (!status.ok()) return library_error(code, action, status.ToString());
  } catch (const std::exception& exception) {
    return library_error(code, action, exception.what());
  }
  return {};
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  Status load(Bytes file) {
    const SentencePieceTraits traits = TRY(check_sentencepiece(file));
    TRY(guarded(ErrorCode::InvalidData, "load the model",
                [&] { return processor_.LoadFromSerializedProto(as_text(file)); }));
    drops_leading_space_ = traits.add_dummy_prefix || traits.remove_extra_whitespaces;
    TRY(fill_pieces());
    const TokenId bos = processor_.bos_id();
    std::vector<TokenId> prefix;
    if (bos != kNoToken) prefix.push_back(bos);
    set_ends(bos, processor_.eos_id(), std::move(prefix));
    return {};
  }

  std::string_view kind() const override { return "sentencepiece"; }
  TokenId vocab_size() const override { return static_cast<TokenId>(pieces_.size()); }
  bool drops_leading_space() const override { return drops_leading_space_; }

  std::string_view piece(TokenId id) const override {
    if (id < 0 || id >= vocab_size()) return {};
    return pieces_[static_cast<size_t>(id)];
  }

  TokenId special(std::string_view name) const override {
    const auto found = specials_.find(name);
    return found == specials_.end() ? kNoToken : found->second;
  }

  std::string special_name(TokenId id) const override {
    const bool is_special = id >= 0 && id < vocab_size() && processor_.IsControl(id);
    return is_special ? processor_.IdToPiece(id) : std::string();
  }

 private:
  // The library never takes the name of a control piece in a text for the piece, so the text is cut
  // there first. Each stretch gets the leading space of a text of its own, as in Meta's code.
  Status encode_text(std::string_view text, Specials specials,
                     std::vector<TokenId>& ids) const override {
    size_t done = 0;
    for (size_t at = 0; specials == Specials::AsTokens && at < text.size();) {
      const auto found = special_at(text.substr(at));
      if (found == specials_.end()) {
        ++at;
        continue;
      }
      TRY(encode_plain(text.substr(done, at - done), ids));
      ids.push_back(found->second);
      done = at += found->first.size();
    }
    return encode_plain(text.substr(done), ids);
  }

  Status encode_plain(std::string_view text, std::vector<TokenId>& ids) const {
    if (text.empty()) return {};
    std::vector<TokenId> more;
    TRY(guarded(ErrorCode::Internal, "encode the text",
                [&] { return processor_.Encode(text, &more); }));
    ids.insert(ids.end(), more.begin(), more.end());
    return {};
  }

  using Names = std::map<std::string, TokenId, std::less<>>;

  // The longest special token with which `text` starts.
  Names::const_iterator special_at(std::string_view text) const {
    if (!special_starts_[static_cast<uint8_t>(text[0])]) return specials_.end();
    for (size_t size = std::min(longest_special_, text.size()); size > 0; --size) {
      const auto found = specials_.find(text.substr(0, size));
      if (found != specials_.end()) return found;
    }
    return specials_.end();
  }

  void add_special(const std::string& name, TokenId id) {
    if (name.empty()) return;
    specials_.emplace(name, id);
    special_starts_[static_cast<uint8_t>(name[0])] = true;
    longest_special_ = std::max(longest_special_, name.size());
  }

  Status fill_pieces() {
    pieces_.resize(static_cast<size_t>(processor_.GetPieceSize()));
    for (int id = 0; id < processor_.GetPieceSize(); ++id) {
      std::string& piece = pieces_[static_cast<size_t>(id)];
      const std::string& name = processor_.IdToPiece(id);
      if (processor_.IsControl(id)) {
        add_special(name, id);
        continue;
      }
      if (processor_.IsByte(id)) {
        uint8_t byte = 0;  // check_sentencepiece saw that the name is <0xNN>
        std::from_chars(name.data() + 3, name.data() + 5, byte, 16);
        piece = static_cast<char>(byte);
      } else if (processor_.IsUnknown(id)) {
        TRY(guarded(ErrorCode::InvalidData, "decode the unknown word",
                    [&] { return processor_.Decode(std::vector<int>{id}, &piece); }));
      } else {
        piece = with_spaces(name);
      }
    }
    return {};
  }

  static std::string with_spaces(std::string_view name) {
    std::string text;
    for (size_t at = 0; at < name.size();) {
      const bool space = name.substr(at).starts_with(kSpaceSymbol);
      text += space ? ' ' : name[at];
      at += space ? kSpaceSymbol.size() : 1;
    }
    return text;
  }

  sentencepiece::SentencePieceProcessor processor_;
  std::vector<std::string> pieces_;
  Names specials_;
  std::bitset<256> special_starts_;  // first bytes of their names
  size_t longest_special_ = 0;
  bool drops_leading_space_ = false;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> read_sentencepiece(Bytes file) {
  auto tokenizer = std::make_unique<SentencePieceTokenizer>();
  TRY(tokenizer->load(file));
  return tokenizer;
}

}  // namespace diptych::text
