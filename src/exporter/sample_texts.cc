#include "exporter/sample_texts.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include "base/json.h"
#include "jinja/chat_template.h"

// The files as they are; the build says where they lie.
#define DIPTYCH_EMBED(symbol, file)                                              \
  __asm__(".section .rodata\n.global " #symbol "\n" #symbol ":\n.incbin \"" file \
          "\"\n.global " #symbol "_end\n" #symbol "_end:\n.byte 0\n.text\n")

DIPTYCH_EMBED(diptych_calibration_sample, DIPTYCH_TEXTS "/calibration.txt");
DIPTYCH_EMBED(diptych_held_out_sample, DIPTYCH_TEXTS "/held_out.txt");

extern "C" {
extern const char diptych_calibration_sample[], diptych_calibration_sample_end[];
extern const char diptych_held_out_sample[], diptych_held_out_sample_end[];
}

namespace diptych::exporter {

namespace {

constexpr std::string_view kSeparator = "\n===\n";
constexpr std::array<std::string_view, 3> kRoles = {"system", "user", "assistant"};

// The messages of a piece whose turns begin with "@user: " and the like; none in other text.
Json messages_of(std::string_view piece) {
  Json messages = Json::array();
  for (size_t at = 0; at < piece.size();) {
    const size_t end = std::min(piece.find('\n', at), piece.size());
    const std::string_view line = piece.substr(at, end - at);
    at = end + 1;
    const auto role = std::find_if(kRoles.begin(), kRoles.end(), [&](std::string_view name) {
      return line.starts_with(fmt::format("@{}: ", name));
    });
    if (role != kRoles.end()) {
      messages.push_back({{"role", *role}, {"content", line.substr(role->size() + 3)}});
    } else if (messages.empty()) {
      return messages;
    } else {
      messages.back()["content"] =
          fmt::format("{}\n{}", messages.back()["content"].get<std::string>(), line);
    }
  }
  return messages;
}

// A chat as the model sees it; nothing when the template does not take it.
std::optional<std::vector<text::TokenId>> chat_tokens(const Json& messages,
                                                      const jinja::ChatTemplate& chat_template,
                                                      const text::Tokenizer& tokenizer) {
  jinja::Chat chat;
  chat.messages = messages;
  chat.bos = tokenizer.special_name(tokenizer.bos());
  chat.eos = tokenizer.special_name(tokenizer.eos());
  // Some templates write the date, which must not be in what a file is made of.
  std::tm now{};
  now.tm_year = 124;
  now.tm_mon = 6;
  now.tm_mday = 26;
  const auto rendered = chat_template.render(chat, {}, &now);
  if (!rendered) return std::nullopt;
  auto ids = tokenizer.encode(*rendered, false, text::Specials::AsTokens);
  if (!ids) return std::nullopt;
  return std::move(*ids);
}

}  // namespace

std::string_view calibration_sample() {
  return {diptych_calibration_sample, diptych_calibration_sample_end};
}

std::string_view held_out_sample() {
  return {diptych_held_out_sample, diptych_held_out_sample_end};
}

Result<std::vector<std::vector<int64_t>>> token_windows(std::string_view text,
                                                        const text::Tokenizer& tokenizer,
                                                        const TextTokens& options) {
  std::optional<jinja::ChatTemplate> chat_template;
  if (options.chat_template != nullptr && !options.chat_template->empty()) {
    if (auto parsed = jinja::ChatTemplate::parse(*options.chat_template)) {
      chat_template = std::move(*parsed);
    }
  }
  const std::vector<text::TokenId>& prefix = tokenizer.prefix();
  const auto window = static_cast<size_t>(
      std::max<int64_t>(options.window, static_cast<int64_t>(prefix.size()) + 1));
  std::vector<std::vector<int64_t>> windows;
  size_t tokens = 0;
  for (size_t begin = 0; begin < text.size() && tokens < options.most_tokens;) {
    const size_t end = std::min(text.find(kSeparator, begin), text.size());
    const std::string_view piece = text.substr(begin, end - begin);
    begin = end + kSeparator.size();
    std::optional<std::vector<text::TokenId>> ids;
    if (chat_template) {
      if (const Json messages = messages_of(piece); !messages.empty()) {
        ids = chat_tokens(messages, *chat_template, tokenizer);
      }
    }
    if (!ids) ids = TRY(tokenizer.encode(std::string(piece) + "\n\n", false));
    for (const text::TokenId id : *ids) {
      if (tokens == options.most_tokens) break;
      if (windows.empty() || windows.back().size() == window) {
        windows.emplace_back(prefix.begin(), prefix.end());
      }
      windows.back().push_back(id);
      ++tokens;
    }
  }
  return windows;
}

}  // namespace diptych::exporter
