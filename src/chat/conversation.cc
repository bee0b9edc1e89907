#include "chat/conversation.h"

#include <algorithm>

#include "text/stream_decoder.h"

namespace diptych::chat {

namespace {

// After forgetting, this part of the context is kept free for the answer where possible, or each
// few tokens would need another evaluation of all that is left.
constexpr int64_t kRoomAfterForgetting = 4;  // a quarter

// Turns tokens into the text of an answer.
class AnswerText {
 public:
  AnswerText(const text::Tokenizer& tokenizer, text::StopTexts stops,
             const Conversation::OnText& on_text)
      : decoder_(tokenizer), stops_(std::move(stops)), on_text_(on_text) {}

  // The text goes on after `prompt`: no leading space is dropped.
  void begin_after(std::span<const int64_t> prompt) {
    for (const int64_t token : prompt) (void)decoder_.add(static_cast<text::TokenId>(token));
  }
  bool add(int64_t token) {
    return give_out(stops_.add(decoder_.add(static_cast<text::TokenId>(token)))) &&
           !stops_.stopped();
  }
  std::string finish() {
    give_out(stops_.add(decoder_.finish()));
    give_out(stops_.finish());
    return std::move(text_);
  }
  bool stopped() const { return stops_.stopped(); }

 private:
  bool give_out(const std::string& piece) {
    text_ += piece;
    return on_text_(piece);
  }

  text::StreamDecoder decoder_;
  text::StopTexts stops_;
  const Conversation::OnText& on_text_;
  std::string text_;
};

// Adds the generation of an answer's next part.
void append(generate::Generation& whole, generate::Generation part) {
  whole.tokens.insert(whole.tokens.end(), part.tokens.begin(), part.tokens.end());
  std::move(part.logprobs.begin(), part.logprobs.end(), std::back_inserter(whole.logprobs));
  whole.reason = part.reason;
  whole.prefill_seconds += part.prefill_seconds;
  whole.decode_seconds += part.decode_seconds;
  whole.decode_steps += part.decode_steps;
}

}  // namespace

Conversation::Conversation(generate::Session& session, const text::Tokenizer& tokenizer,
                           const jinja::ChatTemplate& chat_template, Options options)
    : session_(session),
      tokenizer_(tokenizer),
      template_(chat_template),
      options_(std::move(options)),
      sampler_(options_.generate.sampler) {
  const std::time_t seconds = std::time(nullptr);
  localtime_r(&seconds, &now_);
}

Result<Conversation> Conversation::create(generate::Session& session,
                                          const text::Tokenizer& tokenizer,
                                          const jinja::ChatTemplate& chat_template,
                                          std::string system, Options options) {
  TRY(generate::check(options.generate.sampler, session.model().vocab_size));
  Conversation conversation(session, tokenizer, chat_template, std::move(options));
  Transcript transcript;
  transcript.system = std::move(system);
  TRY(conversation.restore(std::move(transcript)));
  return conversation;
}

Status Conversation::restore(Transcript transcript) {
  Transcript trial = transcript;
  trial.turns.push_back({"Hello", "Hello."});
  trial.turns.push_back({"Hello", ""});
  const std::string text = TRY(render(trial));
  if (tokenizer_.check_may_fit(text.size(), session_.model().max_context)) TRY(encode(text));
  transcript_ = std::move(transcript);
  return {};
}

bool Conversation::undo() {
  if (transcript_.turns.empty()) return false;
  transcript_.turns.pop_back();
  return true;
}

void Conversation::reset() {
  transcript_.turns.clear();
  sampler_ = generate::Sampler(options_.generate.sampler);
}

Result<std::string> Conversation::render(const Transcript& transcript) const {
  jinja::Chat chat;
  chat.messages = messages_of(transcript);
  chat.messages.erase(chat.messages.size() - 1);  // the answer to come
  chat.add_generation_prompt = true;
  chat.bos = tokenizer_.special_name(tokenizer_.bos());
  chat.eos = tokenizer_.special_name(tokenizer_.eos());
  return template_.render(chat, {}, &now_);
}

Result<Conversation::Tokens> Conversation::encode(const std::string& text) const {
  const auto ids = TRY(tokenizer_.encode(text, false, text::Specials::AsTokens));
  if (ids.empty()) return invalid_argument("the chat template writes nothing for a message");
  return Tokens(ids.begin(), ids.end());
}

Result<Conversation::Tokens> Conversation::fit(Transcript& transcript, const Tokens& so_far) const {
  const int64_t context = session_.model().max_context;
  const int64_t to_come = options_.generate.max_tokens - static_cast<int64_t>(so_far.size());
  int64_t room = 0;  // wanted for what is to come
  for (;;) {
    const std::string text = TRY(render(transcript));
    const bool alone = transcript.turns.size() == 1;
    // A text that is too long to be tokenised does not fit and is measured in bytes.
    const bool is_text = !tokenizer_.check_may_fit(text.size(), context);
    if (is_text && !alone && options_.on_full != OnFull::Stop) {
      forget_bytes(transcript, text.size(), context);
      continue;
    }
    Tokens tokens = is_text ? Tokens() : TRY(encode(text));
    tokens.insert(tokens.end(), so_far.begin(), so_far.end());
    const auto size = static_cast<int64_t>(tokens.size());
    if (!is_text && (size + room <= context || (alone && size <= context))) return tokens;
    const std::string length =
        is_text ? fmt::format("{} bytes", text.size()) : fmt::format("{} tokens", size);
    if (alone) {
      return invalid_argument(
          "the message is {} long{}, the context {}{}; shorten it or export with a larger "
          "--max_context_len",
          length, transcript.system.empty() ? "" : " with the system prompt", context,
          is_text ? " tokens" : "");
    }
    if (options_.on_full == OnFull::Stop) {
      return invalid_argument(
          "the conversation with this message is {} long, the context {}{}; /undo or /reset, "
          "or choose --on-full slide or --on-full reset",
          length, context, is_text ? " tokens" : "");
    }
    forget(transcript, 1);
    room = std::min(to_come, context / kRoomAfterForgetting);
  }
}

void Conversation::forget(Transcript& transcript, size_t turns) const {
  const size_t most = transcript.turns.size() - 1;
  if (options_.on_full == OnFull::Reset) turns = most;
  const auto first = transcript.turns.begin();
  transcript.turns.erase(first, first + static_cast<int64_t>(std::min(turns, most)));
}

void Conversation::forget_bytes(Transcript& transcript, size_t bytes, int64_t context) const {
  size_t turns = 0;
  do {
    const Turn& turn = transcript.turns[turns++];
    bytes -= std::min(bytes, turn.user.size() + turn.assistant.size());
  } while (turns + 1 < transcript.turns.size() && !tokenizer_.check_may_fit(bytes, context));
  forget(transcript, turns);
}

std::span<const int64_t> Conversation::reuse(const Tokens& prompt) {
  const auto cached = session_.tokens();
  const auto differs = std::mismatch(prompt.begin(), prompt.end(), cached.begin(), cached.end());
  // At least one token is evaluated, for its logits.
  const auto shared = std::min(differs.first - prompt.begin(), std::ssize(prompt) - 1);
  session_.rewind(shared);
  return std::span(prompt).subspan(static_cast<size_t>(shared));
}

Result<Answer> Conversation::ask(const std::string& message, const OnText& on_text) {
  Transcript seen = transcript_;  // by the model
  seen.turns.push_back({message, ""});
  Tokens prompt = TRY(fit(seen, {}));

  Answer answer;
  answer.prompt_tokens = prompt.size();
  AnswerText text(tokenizer_, options_.stops, on_text);
  text.begin_after(prompt);
  for (;;) {
    const std::span<const int64_t> rest = reuse(prompt);
    if (answer.evaluated_tokens == 0) answer.reused_tokens = prompt.size() - rest.size();
    answer.evaluated_tokens += rest.size();
    generate::GenerateOptions options = options_.generate;
    options.max_tokens -= static_cast<int64_t>(answer.generation.tokens.size());
    append(answer.generation,
           TRY(generate::generate(session_, rest, options, sampler_,
                                  [&](int64_t token) { return text.add(token); })));
    if (answer.generation.reason != generate::StopReason::ContextFull ||
        options_.on_full == OnFull::Stop) {
      break;
    }
    Transcript fewer = seen;
    Result<Tokens> shorter = fit(fewer, answer.generation.tokens);
    if (!shorter) break;  // this turn alone fills the context
    prompt = std::move(*shorter);
    seen = std::move(fewer);
  }
  answer.forgotten_turns = transcript_.turns.size() + 1 - seen.turns.size();
  answer.text = text.finish();
  if (text.stopped()) answer.generation.reason = generate::StopReason::StopText;
  const bool begun = !answer.generation.tokens.empty();
  if (begun || answer.generation.reason != generate::StopReason::Cancelled) {
    transcript_ = std::move(seen);
    transcript_.turns.back().assistant = answer.text;
  }
  return answer;
}

}  // namespace diptych::chat
