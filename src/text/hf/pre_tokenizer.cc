#include "text/hf/pre_tokenizer.h"

#include "base/json.h"
#include "text/byte_level.h"
#include "text/hf/component.h"
#include "text/regex_syntax.h"
#include "text/utf8.h"

namespace diptych::text::hf {

namespace {

// GPT-2's words, which ByteLevel cuts at.
constexpr std::string_view kByteLevelWords =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Result<Behaviour> behaviour_from_name(std::string_view name) {
  if (name == "Removed") return Behaviour::Removed;
  if (name == "Isolated") return Behaviour::Isolated;
  if (name == "Contiguous") return Behaviour::Contiguous;
  if (name == "MergedWithPrevious") return Behaviour::MergedWithPrevious;
  if (name == "MergedWithNext") return Behaviour::MergedWithNext;
  return unknown_component("behavior", name,
                           "Removed, Isolated, Contiguous, MergedWithPrevious, MergedWithNext");
}

}  // namespace

Status PreTokenizer::add_split(std::string_view pattern, Behaviour behaviour, bool invert) {
  const std::string translated = TRY(pcre2_from_oniguruma(pattern));
  Pattern regex = Pattern::regex(TRY(Regex::compile(translated)));
  steps_.push_back(Split{std::move(regex), behaviour, invert});
  return {};
}

Status PreTokenizer::add_metaspace(const Json& json) {
  const std::string replacement = TRY(json_string(json, "replacement"));
  if (replacement.empty() || next_utf8(replacement).size != replacement.size()) {
    return invalid_data("\"replacement\": expected a character, found {}", in_quotes(replacement));
  }
  // Files from before "prepend_scheme" have a flag.
  Scheme scheme = TRY(bool_or(json, "add_prefix_space", true)) ? Scheme::Always : Scheme::Never;
  if (json.contains("prepend_scheme")) {
    const std::string name = TRY(json_string(json, "prepend_scheme"));
    if (name != "always" && name != "first" && name != "never") {
      return unknown_component("prepend_scheme", name, "always, first and never");
    }
    scheme = name == "always" ? Scheme::Always : name == "first" ? Scheme::First : Scheme::Never;
  }
  steps_.push_back(Metaspace{replacement, scheme});
  if (TRY(bool_or(json, "split", true))) {
    steps_.push_back(Split{Pattern::literal(replacement), Behaviour::MergedWithNext});
  }
  return {};
}

Status PreTokenizer::add(const Json& json, std::string_view type) {
  if (type == "ByteLevel") {
    if (TRY(bool_or(json, "add_prefix_space", true))) steps_.push_back(PrefixSpace());
    if (TRY(bool_or(json, "use_regex", true))) {
      TRY(add_split(kByteLevelWords, Behaviour::Isolated));
    }
    steps_.push_back(ByteLevel());
    return {};
  }
  if (type == "Split") {
    const Behaviour behaviour = TRY(behaviour_from_name(TRY(json_string(json, "behavior"))));
    const bool invert = TRY(bool_or(json, "invert", false));
    Pattern pattern = TRY(read_pattern(json));
    steps_.push_back(Split{std::move(pattern), behaviour, invert});
    return {};
  }
  if (type == "Digits") {
    const bool individual = TRY(bool_or(json, "individual_digits", false));
    return add_split(R"(\p{N})", individual ? Behaviour::Isolated : Behaviour::Contiguous);
  }
  if (type == "Metaspace") return add_metaspace(json);
  if (type == "Whitespace") {
    return add_split(R"([\w\x{200C}\x{200D}]+|[^\w\s\x{200C}\x{200D}]+)", Behaviour::Removed, true);
  }
  if (type == "WhitespaceSplit") return add_split(R"(\s)", Behaviour::Removed);
  if (type == "Punctuation") {
    Behaviour behaviour = Behaviour::Isolated;
    if (json.contains("behavior")) {
      behaviour = TRY(behaviour_from_name(TRY(json_string(json, "behavior"))));
    }
    return add_split(R"([\p{P}$+<=>^`|~])", behaviour);
  }
  return unknown_component("pre-tokenizer", type,
                           "ByteLevel, Split, Digits, Metaspace, Whitespace, WhitespaceSplit, "
                           "Punctuation and Sequence");
}

Result<PreTokenizer> PreTokenizer::read(const Json& json) {
  PreTokenizer pre_tokenizer;
  if (json.is_null()) return pre_tokenizer;
  TRY(for_each_component(json, "pretokenizers", [&](const Json& component, std::string_view type) {
    return pre_tokenizer.add(component, type);
  }));
  return pre_tokenizer;
}

Status PreTokenizer::apply(Pieces& pieces, Work& work) const {
  for (const Step& step : steps_) {
    TRY(work.take(1 + pieces.text.size()));
    if (const auto* split = std::get_if<Split>(&step)) {
      TRY(pieces.split(split->pattern, split->behaviour, split->invert, work));
    } else if (std::holds_alternative<PrefixSpace>(step)) {
      pieces.rewrite([](std::string_view piece, bool, std::string& out) {
        if (!piece.starts_with(' ')) out += ' ';
        out += piece;
      });
    } else if (std::holds_alternative<ByteLevel>(step)) {
      pieces.rewrite(
          [](std::string_view piece, bool, std::string& out) { append_byte_level(piece, out); });
    } else if (const auto* spaces = std::get_if<Metaspace>(&step)) {
      const std::string& replacement = spaces->replacement;
      const bool at_start = pieces.at_start;
      pieces.rewrite([&](std::string_view piece, bool is_first, std::string& out) {
        const bool wanted = spaces->scheme == Scheme::Always ||
                            (spaces->scheme == Scheme::First && is_first && at_start);
        if (wanted && piece[0] != ' ' && !piece.starts_with(replacement)) out += replacement;
        for (const char c : piece) {
          if (c == ' ') {
            out += replacement;
          } else {
            out += c;
          }
        }
      });
    }
    TRY(work.check_size(pieces.text.size()));
  }
  return {};
}

}  // namespace diptych::text::hf
