#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <charconv>
#include <exception>

#include "text/sentencepiece_check.h"

namespace diptych::text {

namespace {

// The library takes some 250 bytes for each of a text.
constexpr size_t kMostAtOnce = 4 << 20;
// Longer pieces make it slower.
constexpr size_t kUsualPiece = 64;
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

// Where a space is put before a text that was none of it.
enum class Spaces : uint8_t {
  Library,       // before every stretch between special tokens, as the library and Meta's code do
  EveryStretch,  // the same, but where a stretch begins with one
  Start,         // before the text, unless it begins with one
  Nowhere
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  Status load(Bytes file) {
    traits_ = TRY(check_sentencepiece(file));
    TRY(load_into(processor_, as_text(file)));
    drops_leading_space_ = traits_.add_dummy_prefix || traits_.remove_extra_whitespaces;
    TRY(fill_pieces());
    const TokenId bos = processor_.bos_id();
    std::vector<TokenId> prefix;
    if (bos != kNoToken) prefix.push_back(bos);
    set_ends(bos, processor_.eos_id(), std::move(prefix));
    return {};
  }

  std::string_view kind() const override { return "sentencepiece"; }

 private:
  static Status load_into(sentencepiece::SentencePieceProcessor& processor, std::string_view file) {
    return guarded(ErrorCode::InvalidData, "load the model",
                   [&] { return processor.LoadFromSerializedProto(file); });
  }

  // The library does it, and gives more than one U+FFFD for a character that is cut short.
  bool replaces_invalid() const override { return false; }

  Status apply_own(const TokenizerRules& rules) override {
    if (!rules.legacy && !rules.add_prefix_space) return {};
    rules_.legacy = rules.legacy;
    rules_.add_prefix_space = rules.add_prefix_space;
    if (traits_.is_bpe) TRY(put_spaces(rules));
    std::vector<AddedToken> tokens = added_.tokens();
    for (const TokenId id : traits_.user_defined) {
      if (added_.find(id) == nullptr) tokens.push_back(added_token(id, false));
    }
    return set_added(std::move(tokens));
  }

  // From here on we put the space, and what else the model's normalizer_spec says is forgotten, as
  // transformers does it.
  Status put_spaces(const TokenizerRules& rules) {
    spaces_ = rules.legacy.value_or(false) ? Spaces::EveryStretch : Spaces::Start;
    if (!traits_.add_dummy_prefix || !rules.add_prefix_space.value_or(true)) {
      spaces_ = Spaces::Nowhere;
    }
    drops_leading_space_ = spaces_ != Spaces::Nowhere;
    // Of fields that come twice the last one counts: an empty precompiled_charsmap, neither
    // add_dummy_prefix nor remove_extra_whitespaces.
    constexpr std::string_view kNoChange("\x1A\x06\x12\x00\x18\x00\x20\x00", 8);
    std::string model(processor_.serialized_model_proto());
    return load_into(processor_, model.append(kNoChange));
  }

  TokenId vocabulary_id(std::string_view token) const override {
    const TokenId id = processor_.PieceToId(token);
    return processor_.IdToPiece(id) == token ? id : kNoToken;
  }

  Result<std::string> text_of(const AddedToken& token) const override {
    if (token.id < processor_.GetPieceSize() && processor_.IsUnknown(token.id)) {
      return pieces_[static_cast<size_t>(token.id)];
    }
    return token.special ? std::string() : with_spaces(token.content);
  }

  Status encode_stretch(std::string_view text, bool at_start, Work& work,
                        std::vector<TokenId>& ids) const override {
    if (text.size() > kMostAtOnce) {
      return unsupported(
          "SentencePiece gets a text of {} bytes without special tokens, at most {} are possible",
          text.size(), kMostAtOnce);
    }
    // Where pieces of many lengths may begin the library looks at all of them.
    TRY(work.take(text.size() * std::max<size_t>(traits_.longest_piece / kUsualPiece, 1)));
    std::string spaced;
    if (wants_space(text, at_start)) {
      spaced = std::string(" ").append(text);
      text = spaced;
    }
    std::vector<TokenId> more;
    TRY(guarded(ErrorCode::Internal, "encode the text",
                [&] { return processor_.Encode(text, &more); }));
    ids.insert(ids.end(), more.begin(), more.end());
    return {};
  }

  // Whether we put a space before a stretch.
  bool wants_space(std::string_view text, bool at_start) const {
    if (text.starts_with(' ') || text.starts_with(kSpaceSymbol)) return false;
    return spaces_ == Spaces::EveryStretch || (spaces_ == Spaces::Start && at_start);
  }

  AddedToken added_token(TokenId id, bool special) const {
    AddedToken token;
    token.id = id;
    token.content = processor_.IdToPiece(id);
    token.special = special;
    return token;
  }

  Status fill_pieces() {
    pieces_.resize(static_cast<size_t>(processor_.GetPieceSize()));
    std::vector<AddedToken> specials;
    for (int id = 0; id < processor_.GetPieceSize(); ++id) {
      std::string& piece = pieces_[static_cast<size_t>(id)];
      const std::string& name = processor_.IdToPiece(id);
      if (processor_.IsControl(id) || processor_.IsUnknown(id)) {
        specials.push_back(added_token(id, true));
      }
      if (processor_.IsByte(id)) {
        uint8_t byte = 0;  // check_sentencepiece saw that the name is <0xNN>
        std::from_chars(name.data() + 3, name.data() + 5, byte, 16);
        piece = static_cast<char>(byte);
      } else if (processor_.IsUnknown(id)) {
        TRY(guarded(ErrorCode::InvalidData, "decode the unknown word",
                    [&] { return processor_.Decode(std::vector<int>{id}, &piece); }));
      } else if (!processor_.IsControl(id)) {
        piece = with_spaces(name);
      }
    }
    return set_added(std::move(specials));
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

  SentencePieceTraits traits_;
  sentencepiece::SentencePieceProcessor processor_;
  Spaces spaces_ = Spaces::Library;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> read_sentencepiece(Bytes file) {
  auto tokenizer = std::make_unique<SentencePieceTokenizer>();
  TRY(tokenizer->load(file));
  return tokenizer;
}

}  // namespace diptych::text
