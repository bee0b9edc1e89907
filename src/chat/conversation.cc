#include "chat/conversation.h"

#include <algorithm>

#include "answer/chat_prompt.h"

namespace diptych::chat {

using answer::Message, answer::Role, answer::Transcript;

namespace {

// After forgetting, this part of the context is kept free for the answer where possible, or each
// few tokens would need another evaluation of all that is left.
constexpr int64_t kRoomAfterForgetting = 4;  // a quarter

// What a message is counted with where texts are too long to be encoded.
size_t bytes_of(const Message& message) {
  size_t bytes = message.content.size();
  for (const answer::ToolCall& call : message.calls) bytes += call.arguments.size();
  return bytes;
}

}  // namespace

Conversation::Conversation(generate::Session& session, const text::Tokenizer& tokenizer,
                           const jinja::ChatTemplate& chat_template, Options options)
    : session_(&session),
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
  if (!system.empty()) transcript.messages.push_back({Role::System, std::move(system)});
  TRY(conversation.restore(std::move(transcript)));
  return conversation;
}

Status Conversation::restore(Transcript transcript) {
  Transcript trial = transcript;
  trial.messages.push_back({Role::User, "Hello"});
  trial.messages.push_back({Role::Assistant, "Hello."});
  trial.messages.push_back({Role::User, "Hello"});
  const std::string text = TRY(render(trial));
  if (tokenizer_.check_may_fit(text.size(), session_->model().max_context)) TRY(encode(text));
  transcript_ = std::move(transcript);
  return {};
}

bool Conversation::undo() { return transcript_.drop_last(); }

void Conversation::reset() {
  transcript_.drop_oldest(transcript_.turns());
  sampler_ = generate::Sampler(options_.generate.sampler);
}

Result<std::string> Conversation::render(const Transcript& transcript) const {
  return answer::chat_prompt(template_, tokenizer_, transcript, {.now = &now_});
}

Result<Conversation::Tokens> Conversation::encode(const std::string& text) const {
  const auto ids = TRY(tokenizer_.encode(text, false, text::Specials::AsTokens));
  if (ids.empty()) return invalid_argument("the chat template writes nothing for a message");
  return Tokens(ids.begin(), ids.end());
}

Result<Conversation::Tokens> Conversation::fit(Transcript& transcript, const Tokens& so_far) const {
  const int64_t context = session_->model().max_context;
  const int64_t to_come = options_.generate.max_tokens - static_cast<int64_t>(so_far.size());
  int64_t room = 0;  // wanted for what is to come
  for (;;) {
    const std::string text = TRY(render(transcript));
    const bool alone = transcript.turns() <= 1;
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
      return hinted(invalid_argument("the message is {} long{}, the context {}{}", length,
                                     transcript.has_system() ? " with the system prompt" : "",
                                     context, is_text ? " tokens" : ""),
                    Advice::LongerContext);
    }
    if (options_.on_full == OnFull::Stop) {
      return hinted(
          invalid_argument("the conversation with this message is {} long, the context {}{}",
                           length, context, is_text ? " tokens" : ""),
          Advice::ForgetTurns);
    }
    forget(transcript, 1);
    room = std::min(to_come, context / kRoomAfterForgetting);
  }
}

void Conversation::forget(Transcript& transcript, size_t turns) const {
  const size_t most = transcript.turns() - 1;
  transcript.drop_oldest(options_.on_full == OnFull::Reset ? most : std::min(turns, most));
}

void Conversation::forget_bytes(Transcript& transcript, size_t bytes, int64_t context) const {
  const size_t most = transcript.turns() - 1;
  size_t turns = 0;  // begun
  for (const Message& message : transcript.messages) {
    if (message.role == Role::System) continue;
    if (message.role == Role::User) {
      if (turns == most || (turns > 0 && tokenizer_.check_may_fit(bytes, context))) break;
      ++turns;
    }
    bytes -= std::min(bytes, bytes_of(message));
  }
  forget(transcript, turns);
}

std::span<const int64_t> Conversation::reuse(const Tokens& prompt) {
  // At least one token is evaluated, for its logits.
  const int64_t shared = session_->held_of(std::span(prompt).first(prompt.size() - 1));
  session_->rewind(shared);
  return std::span(prompt).subspan(static_cast<size_t>(shared));
}

Result<Answer> Conversation::ask(const std::vector<Message>& messages, const OnPiece& on_piece) {
  Transcript seen = transcript_;  // by the model
  for (const Message& message : messages) {
    TRY(answer::check_next(seen, message.role));
    seen.messages.push_back(message);
  }
  TRY(answer::check_next(seen, Role::Assistant));
  const size_t turns = seen.turns();
  Tokens prompt = TRY(fit(seen, {}));

  Answer answer;
  answer.prompt_tokens = prompt.size();
  answer::TextStream stream(&tokenizer_, options_.stops, on_piece);
  stream.begin_after(prompt);
  generate::GenerateOptions generation = options_.generate;
  const auto filter = options_.new_filter ? options_.new_filter() : nullptr;
  generation.filter = filter.get();
  for (;;) {
    const std::span<const int64_t> rest = reuse(prompt);
    if (answer.evaluated_tokens == 0) answer.reused_tokens = prompt.size() - rest.size();
    answer.evaluated_tokens += rest.size();
    TRY(stream.generate(*session_, rest, generation, sampler_));
    if (stream.generation().reason != generate::StopReason::ContextFull ||
        options_.on_full == OnFull::Stop) {
      break;
    }
    Transcript fewer = seen;
    Result<Tokens> shorter = fit(fewer, stream.generation().tokens);
    if (!shorter) break;  // this turn alone fills the context
    prompt = std::move(*shorter);
    seen = std::move(fewer);
  }
  answer.forgotten_turns = turns - seen.turns();
  static_cast<answer::Answer&>(answer) = stream.finish();
  const bool begun = !answer.generation.tokens.empty();
  if (begun || answer.generation.reason != generate::StopReason::Cancelled) {
    transcript_ = std::move(seen);
    transcript_.messages.push_back({Role::Assistant, answer.text});
  }
  return answer;
}

}  // namespace diptych::chat
