// diptych tokenize: text to token ids and back.

#include <fmt/format.h>

#include <charconv>

#include "base/json.h"
#include "card/card_of_model.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace diptych::cli {

namespace {

struct TokenizeArguments {
  std::string tokenizer, text;
  bool has_text = false, from_stdin = false, no_bos = false, specials = false, decode = false,
       json = false;
};

// Ids separated by commas or white space.
Result<std::vector<text::TokenId>> parse_ids(std::string_view text, text::TokenId vocab_size) {
  constexpr std::string_view kSeparators = ", \t\r\n";
  std::vector<text::TokenId> ids;
  for (size_t at = text.find_first_not_of(kSeparators); at != text.npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    const std::string_view word = text.substr(at, end - at);
    text::TokenId id = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size()) {
      return invalid_argument("expected token ids separated by commas, found \"{}\"",
                              word.substr(0, 40));
    }
    if (id < 0 || id >= vocab_size) {
      return invalid_argument("the id {} is outside the vocabulary of {}", id, vocab_size);
    }
    ids.push_back(id);
    at = text.find_first_not_of(kSeparators, end);
  }
  return ids;
}

Status print_ids(const TokenizeArguments& a, const text::Tokenizer& tokenizer,
                 const std::vector<text::TokenId>& ids) {
  if (!a.json) return write_results(fmt::format("{}\n", fmt::join(ids, ",")));
  Json pieces = Json::array();
  for (const text::TokenId id : ids) {
    const std::string name = tokenizer.special_name(id);
    pieces.push_back(name.empty() ? std::string(tokenizer.piece(id)) : name);
  }
  return write_results(dump_json({{"ids", ids}, {"pieces", pieces}}) + "\n");
}

Status run_tokenize(const TokenizeArguments& a) {
  if (a.has_text == a.from_stdin) return usage_error("give either a text or --stdin");
  const auto tokenizer = TRY(card::open_tokenizer(a.tokenizer));
  const std::string input = a.from_stdin ? TRY(read_standard_input(text::kMaxTextBytes)) : a.text;
  if (!a.decode) {
    const auto specials = a.specials ? text::Specials::AsTokens : text::Specials::AsText;
    auto ids = TRY(tokenizer->encode(input, !a.no_bos, specials));
    if (!a.no_bos) ids.insert(ids.end(), tokenizer->suffix().begin(), tokenizer->suffix().end());
    return print_ids(a, *tokenizer, ids);
  }
  const auto ids = TRY(parse_ids(input, tokenizer->vocab_size()));
  const std::string text = text::decode(*tokenizer, ids);
  return write_results(a.json ? dump_json({{"text", text}}) + "\n" : text + "\n");
}

}  // namespace

Action setup_tokenize(Parser& parser) {
  auto arguments = std::make_shared<TokenizeArguments>();
  TokenizeArguments& a = *arguments;
  auto* text = parser.add_option("text", a.text, "Text to encode, or ids to decode: 1,2,3");
  parser.add_option("-t,--tokenizer", a.tokenizer, kTokenizerHelp)->required();
  parser.add_flag(
      "--stdin", a.from_stdin,
      "Take the text from standard input, every byte of it, the last newline included;\n"
      "at most 64 MiB");
  parser.add_flag("--no_bos", a.no_bos,
                  "Put no beginning-of-text token before the text (and none behind it)");
  parser.add_flag("--specials", a.specials,
                  "Let names of special tokens in the text (<|eot_id|>) be these tokens");
  parser.add_flag("--decode", a.decode, "From ids to text");
  parser.add_flag("--json", a.json, "Print an object: ids and pieces, or text");
  return [arguments, text] {
    arguments->has_text = text->count() > 0;
    return run_tokenize(*arguments);
  };
}

}  // namespace diptych::cli
