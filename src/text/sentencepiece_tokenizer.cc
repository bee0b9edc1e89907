#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <charconv>
#include <exception>

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
    if (eos() != kNoToken) stop_ids_.push_back(eos());
    return fill_pieces();
  }

  std::string_view kind() const override { return "sentencepiece"; }
  TokenId vocab_size() const override { return static_cast<TokenId>(pieces_.size()); }
  TokenId bos() const override { return processor_.bos_id(); }
  TokenId eos() const override { return processor_.eos_id(); }
  const std::vector<TokenId>& stop_ids() const override { return stop_ids_; }
  bool drops_leading_space() const override { return drops_leading_space_; }

  // The library never takes the name of a control piece in a text for the piece.
  Result<std::vector<TokenId>> encode(std::string_view text, bool with_bos,
                                      Specials) const override {
    TRY(check_size(text));
    std::vector<TokenId> ids;
    TRY(guarded(ErrorCode::Internal, "encode the text",
                [&] { return processor_.Encode(text, &ids); }));
    if (with_bos && bos() != kNoToken) ids.insert(ids.begin(), bos());
    return ids;
  }

  std::string_view piece(TokenId id) const override {
    if (id < 0 || id >= vocab_size()) return {};
    return pieces_[static_cast<size_t>(id)];
  }

 private:
  Status fill_pieces() {
    pieces_.resize(static_cast<size_t>(processor_.GetPieceSize()));
    for (int id = 0; id < processor_.GetPieceSize(); ++id) {
      std::string& piece = pieces_[static_cast<size_t>(id)];
      if (processor_.IsControl(id)) continue;
      const std::string& name = processor_.IdToPiece(id);
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
  std::vector<TokenId> stop_ids_;
  bool drops_leading_space_ = false;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> read_sentencepiece(Bytes file) {
  auto tokenizer = std::make_unique<SentencePieceTokenizer>();
  TRY(tokenizer->load(file));
  return tokenizer;
}

}  // namespace diptych::text
