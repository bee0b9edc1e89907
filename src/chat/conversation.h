// A conversation with a model: messages in, answers out.
//
// The whole conversation is rendered by the model's template for each message. What the rendering
// has in common with the tokens in the KV cache is kept there and only the rest is evaluated, so
// that an answer is always the one that a fresh session would give to the whole conversation,
// whatever was asked, undone or loaded before.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "answer/text_stream.h"
#include "answer/transcript.h"
#include "base/error.h"
#include "generate/generator.h"
#include "generate/session.h"
#include "jinja/chat_template.h"
#include "text/stop_texts.h"
#include "text/tokenizer.h"

namespace diptych::chat {

// What happens when the conversation outgrows the context.
enum class OnFull : uint8_t {
  Stop,   // the message is refused, or the answer ends there
  Slide,  // the oldest turns are forgotten, as few as possible
  Reset,  // all turns before this one are forgotten
};

struct Options {
  generate::GenerateOptions generate;  // max_tokens: of an answer
  text::StopTexts stops;
  OnFull on_full = OnFull::Stop;
  // Makes what an answer's tokens are to keep to; for each answer anew. Nothing: any may come.
  std::function<std::unique_ptr<generate::TokenFilter>()> new_filter = {};
};

struct Answer : answer::Answer {
  size_t prompt_tokens = 0;     // of the conversation when the answer began
  size_t reused_tokens = 0;     // of those, the ones that were in the KV cache
  size_t evaluated_tokens = 0;  // not in the cache: new ones, and again those after forgetting
  size_t forgotten_turns = 0;   // since the context was full
};

class Conversation {
 public:
  // Tries the template on a conversation of two turns and checks the options: what cannot work
  // fails here, before any computation. All references must outlive the conversation.
  static Result<Conversation> create(generate::Session& session, const text::Tokenizer& tokenizer,
                                     const jinja::ChatTemplate& chat_template, std::string system,
                                     Options options);

  // The answer to the user's message, or to the results of the tools that the assistant called;
  // contents must be UTF-8. It becomes part of the conversation as far as it was given, unless it
  // was cancelled before it began. On an error the conversation is what it was before; messages
  // that do not fit are one, before any computation.
  using OnPiece = answer::TextStream::OnPiece;
  Result<Answer> ask(const std::vector<answer::Message>& messages, const OnPiece& on_piece);

  // Takes the user's last message and all that followed it back; false when there is none.
  bool undo();

  // Forgets all but the system prompt; sampling begins anew with its seed.
  void reset();

  // Goes on with another session of the same model, with what that has in its cache. It must
  // outlive the conversation.
  void use(generate::Session& session) { session_ = &session; }

  const answer::Transcript& transcript() const { return transcript_; }

  // Goes on from another conversation, system prompt included. Fails when the template does not
  // take it; the conversation is what it was before then.
  Status restore(answer::Transcript transcript);

 private:
  Conversation(generate::Session& session, const text::Tokenizer& tokenizer,
               const jinja::ChatTemplate& chat_template, Options options);

  using Tokens = std::vector<int64_t>;
  // What comes before the answer to the last message, as text and as tokens.
  Result<std::string> render(const answer::Transcript& transcript) const;
  Result<Tokens> encode(const std::string& text) const;
  // The same, followed by the tokens of the answer so far, with room for more, for which turns of
  // `transcript` are forgotten if need be.
  Result<Tokens> fit(answer::Transcript& transcript, const Tokens& so_far) const;
  // Takes so many of the oldest turns away, or all but the last one.
  void forget(answer::Transcript& transcript, size_t turns) const;
  // The same of a conversation that was written in too many `bytes` to be tried: as many turns as
  // it takes until the rest may fit.
  void forget_bytes(answer::Transcript& transcript, size_t bytes, int64_t context) const;
  // What is to be evaluated of `prompt` after the session has gone back to where it differs.
  std::span<const int64_t> reuse(const Tokens& prompt);

  generate::Session* session_;
  const text::Tokenizer& tokenizer_;
  const jinja::ChatTemplate& template_;
  Options options_;
  generate::Sampler sampler_;
  answer::Transcript transcript_;
  std::tm now_ = {};  // a template that writes the time must not change what was said before
};

}  // namespace diptych::chat
