// diptych chat: a conversation with a model.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "answer/constraint.h"
#include "answer/opened_model.h"
#include "base/file.h"
#include "base/json.h"
#include "chat/conversation.h"
#include "cli/chat_input.h"
#include "cli/command.h"
#include "cli/generation_statistics.h"
#include "cli/hints.h"
#include "cli/sampling_options.h"
#include "cli/speculation_options.h"
#include "cli/terminal.h"
#include "generate/call_groups.h"
#include "generate/session.h"
#include "text/utf8.h"

namespace diptych::cli {

namespace {

constexpr int64_t kLongestAnswer = 1024;
constexpr uint64_t kLargestTranscript = 64 << 20;

struct ChatArguments {
  std::string model, adapter, tokenizer, chat_template, system, numerics, on_full = "stop",
                                                                          stats = "none";
  int64_t max_tokens = kLongestAnswer;
  SamplingArguments sampling;
  SpeculationArguments speculation;
  int threads = 0;
  bool commands = false;
};

const std::map<std::string, chat::OnFull> kOnFull = {
    {"stop", chat::OnFull::Stop}, {"slide", chat::OnFull::Slide}, {"reset", chat::OnFull::Reset}};

template <class... Args>
void notice(fmt::format_string<Args...> format, Args&&... args) {
  tell("diptych chat: {}", fmt::format(format, std::forward<Args>(args)...));
}

// By the names of adapters, the model's own by none.
using Sessions = std::map<std::string, std::unique_ptr<generate::Session>>;

// What /adapter calls the model itself.
constexpr std::string_view kNoAdapter = "none";

// The loop of messages, commands and answers.
class Chat {
 public:
  Chat(const ChatArguments& arguments, const answer::OpenedModel& model, Sessions& sessions,
       chat::Conversation& conversation, ChatInput& input)
      : arguments_(arguments),
        model_(model),
        sessions_(sessions),
        session_(sessions.at(arguments.adapter).get()),
        conversation_(conversation),
        input_(input) {}

  // To the end of the input or /quit. What goes wrong is said at a terminal; elsewhere it ends the
  // conversation.
  Status run();

 private:
  struct Command {
    const char* name;
    const char* argument;  // "" for none
    const char* help;
    Status (Chat::*run)(const std::string& argument);
  };
  static const std::array<Command, 8> kCommands;

  Status take(const Input& input);
  Status answer(const std::string& message);
  Status command(const std::string& text);
  Status write(std::string_view text);
  Status print(const chat::Answer& answer);
  void tell_end(const chat::Answer& answer) const;
  void print_statistics(const chat::Answer& answer) const;
  Status handle_interrupt();

  Status reset(const std::string&);
  Status undo(const std::string&);
  Status save(const std::string& path);
  Status load(const std::string& path);
  Status adapter(const std::string& name);
  Status stats(const std::string&);
  Status help(const std::string&);
  Status quit(const std::string&);

  const ChatArguments& arguments_;
  const answer::OpenedModel& model_;
  Sessions& sessions_;
  const generate::Session* session_;  // the conversation's
  chat::Conversation& conversation_;
  ChatInput& input_;
  bool done_ = false;
  bool leaving_ = false;  // the next Ctrl-C ends the program
  bool broken_ = false;   // standard output takes no more
  chat::Answer last_;
};

const std::array<Chat::Command, 8> Chat::kCommands = {{
    {"reset", "", "Begin anew; the system prompt stays", &Chat::reset},
    {"undo", "", "Take the last message and its answer back", &Chat::undo},
    {"save", "FILE", "Write the conversation as JSON", &Chat::save},
    {"load", "FILE", "Go on from a saved conversation", &Chat::load},
    {"adapter", "NAME", "Answer with an adapter of the file, or with none", &Chat::adapter},
    {"stats", "", "Show the size of the conversation and the speed", &Chat::stats},
    {"help", "", "Show this", &Chat::help},
    {"quit", "", "Leave, as Ctrl-D does", &Chat::quit},
}};

Status Chat::run() {
  if (input_.interactive()) notice("/help lists the commands; Ctrl-C stops an answer");
  while (!done_) {
    stop_on_interrupt();
    Result<Input> input = input_.next();
    Status status = input ? take(*input) : Status(tl::unexpected(std::move(input.error())));
    if (status) continue;
    if (!input_.interactive() || broken_) return status;
    fmt::print(stderr, "diptych chat: {}\n", worded(status.error(), "chat").to_string());
  }
  return {};
}

Status Chat::take(const Input& input) {
  if (input.kind == Input::Kind::Interrupt) return handle_interrupt();
  leaving_ = false;
  switch (input.kind) {
    case Input::Kind::Message:
      return answer(input.text);
    case Input::Kind::Command:
      return command(input.text);
    default:  // the end of the input
      if (input_.interactive()) fmt::print(stderr, "\n");
      done_ = true;
      return {};
  }
}

// Ctrl-C at the prompt: the first one drops the line.
Status Chat::handle_interrupt() {
  if (!input_.interactive()) return fail(ErrorCode::Cancelled, "interrupted");
  fmt::print(stderr, "\n");
  if (leaving_) {
    done_ = true;
  } else {
    notice("Ctrl-C again, or /quit, leaves");
  }
  leaving_ = true;
  return {};
}

Status Chat::answer(const std::string& message) {
  const bool json = arguments_.sampling.json;
  Status printed;
  Result<chat::Answer> answer =
      conversation_.ask({{answer::Role::User, message}}, [&](const answer::Piece& piece) {
        if (!json && printed) printed = write(piece.text);
        return printed && !interrupted();
      });
  TRY(std::move(printed));
  last_ = TRY(std::move(answer));
  TRY(print(last_));
  if (arguments_.stats != "none") print_statistics(last_);
  if (!input_.interactive() && interrupted()) return fail(ErrorCode::Cancelled, "interrupted");
  tell_end(last_);
  return {};
}

Status Chat::write(std::string_view text) {
  Status status = write_results(text);
  broken_ = !status;
  return status;
}

// The end of an answer, which has been printed as it came, or all of it.
Status Chat::print(const chat::Answer& answer) {
  if (!arguments_.sampling.json) return write("\n");
  Json json = answer_json(answer.generation, answer.text, model_.tokenizer());
  json["prompt_tokens"] = answer.prompt_tokens;
  json["reused_tokens"] = answer.reused_tokens;
  json["evaluated_tokens"] = answer.evaluated_tokens;
  json["forgotten_turns"] = answer.forgotten_turns;
  return write(dump_json(json) + "\n");
}

void Chat::tell_end(const chat::Answer& answer) const {
  if (answer.forgotten_turns > 0) {
    notice("the context of {} tokens is full: the oldest {} turns are forgotten",
           session_->model().max_context, answer.forgotten_turns);
  }
  switch (answer.generation.reason) {
    case generate::StopReason::MaxTokens:
      notice("the answer ends after {} tokens; -n allows more", answer.generation.tokens.size());
      break;
    case generate::StopReason::ContextFull:
      notice("the context of {} tokens is full: the answer ends here; {}",
             session_->model().max_context,
             arguments_.on_full == "stop"
                 ? "/undo or /reset, or choose --on-full slide or --on-full reset"
                 : "export with a larger --max_context_len for longer ones");
      break;
    case generate::StopReason::Cancelled:
      notice("the answer was stopped");
      break;
    default:
      break;
  }
}

void Chat::print_statistics(const chat::Answer& answer) const {
  const generate::Generation& g = answer.generation;
  const double prefill = rate(static_cast<double>(answer.evaluated_tokens), g.prefill_seconds);
  const double tokens = decoded_tokens(g), decode = rate(tokens, g.decode_seconds);
  const bool speculates = arguments_.speculation.any();
  if (arguments_.stats == "json") {
    Json decoding = {{"tokens", static_cast<int64_t>(tokens)},
                     {"seconds", g.decode_seconds},
                     {"tokens_per_second", decode}};
    if (speculates) add_drafts(g, decoding);
    const Json json = {{"prompt_tokens", answer.prompt_tokens},
                       {"reused_tokens", answer.reused_tokens},
                       {"prefill",
                        {{"tokens", answer.evaluated_tokens},
                         {"seconds", g.prefill_seconds},
                         {"tokens_per_second", prefill},
                         {"calls", calls_json(g, *session_)}}},
                       {"decode", decoding},
                       {"stop_reason", generate::name(g.reason)},
                       {"position", session_->position()},
                       {"max_context", session_->model().max_context}};
    fmt::print(stderr, "{}\n", printable(dump_json(json)));
    return;
  }
  fmt::print(stderr, "context  {} of {} tokens\n", session_->position(),
             session_->model().max_context);
  fmt::print(stderr, "prefill  {} tokens in {}, {:.1f} tok/s; {} were in the cache\n",
             answer.evaluated_tokens, human_seconds(g.prefill_seconds), prefill,
             answer.reused_tokens);
  if (!g.prompt_calls.empty()) {
    fmt::print(stderr, "calls    {}\n", generate::calls_text(g.prompt_calls, session_->model()));
  }
  fmt::print(stderr, "decode   {} tokens in {}, {:.1f} tok/s, stopped by {}\n", tokens,
             human_seconds(g.decode_seconds), decode, generate::name(g.reason));
  if (speculates) fmt::print(stderr, "drafts   {}\n", drafts_text(g));
}

Status Chat::command(const std::string& text) {
  const size_t space = std::min(text.find(' '), text.size());
  const size_t end = text.find_last_not_of(' ') + 1;
  const size_t begin = std::min(text.find_first_not_of(' ', space), end);
  const std::string name = text.substr(0, space), argument = text.substr(begin, end - begin);
  for (const Command& command : kCommands) {
    if (command.name != name) continue;
    const bool wants_argument = *command.argument != '\0';
    if (wants_argument == argument.empty()) {
      return invalid_argument(
          "/{} {}", name,
          wants_argument ? fmt::format("needs {}", command.argument) : "takes no argument");
    }
    return (this->*command.run)(argument);
  }
  return invalid_argument(
      "no command \"/{}\"; /help lists them, and between \"\"\" a message may begin with a slash",
      name);
}

Status Chat::reset(const std::string&) {
  conversation_.reset();
  return {};
}

Status Chat::undo(const std::string&) {
  if (!conversation_.undo()) return invalid_argument("there is no message to take back");
  return {};
}

Status Chat::save(const std::string& path) {
  const answer::Transcript& transcript = conversation_.transcript();
  // What was said is for its owner's eyes; it may be saved again, and over what was loaded.
  TRY(write_file(path, as_bytes(answer::format_transcript(transcript)),
                 {.mode = 0600, .use = Use::Edit}));
  notice("{} turns saved to {}", transcript.turns(), path);
  return {};
}

Status Chat::load(const std::string& path) {
  const std::string file = TRY(read_text_file(path, kLargestTranscript, Use::Edit));
  answer::Transcript transcript = TRY(within(path, answer::parse_transcript(file)));
  TRY(within(path, conversation_.restore(std::move(transcript))));
  notice("{} turns loaded from {}", conversation_.transcript().turns(), path);
  return {};
}

// Each adapter has a session and keeps its cache.
Status Chat::adapter(const std::string& name) {
  const std::vector<std::string> known = model_.adapters();
  const bool none =
      name == kNoAdapter && std::find(known.begin(), known.end(), name) == known.end();
  const std::string chosen = none ? "" : name;
  if (!sessions_.contains(chosen)) sessions_[chosen] = TRY(model_.new_session(chosen));
  session_ = sessions_.at(chosen).get();
  conversation_.use(*sessions_.at(chosen));
  return {};
}

Status Chat::stats(const std::string&) {
  fmt::print(stderr, "turns    {}\n", conversation_.transcript().turns());
  print_statistics(last_);
  return {};
}

Status Chat::help(const std::string&) {
  for (const Command& command : kCommands) {
    fmt::print(stderr, "{:<13} {}\n", fmt::format("/{} {}", command.name, command.argument),
               command.help);
  }
  fmt::print(
      stderr,
      "A line that ends in a backslash goes on in the next; \"\"\" begins and ends a message\n"
      "of several lines.\n");
  return {};
}

Status Chat::quit(const std::string&) {
  done_ = true;
  return {};
}

Result<answer::OpenOptions> open_options(const ChatArguments& a) {
  answer::OpenOptions options;
  options.numerics = TRY(numerics_from(a.numerics));
  options.threads = a.threads;
  options.tokenizer = options.chat_template = answer::Part::Needed;
  options.tokenizer_path = a.tokenizer;
  options.chat_template_path = a.chat_template;
  return options;
}

Status run_chat(const ChatArguments& a) {
  chat::Options options;
  options.stops = TRY(stop_texts(a.sampling));
  options.on_full = kOnFull.at(a.on_full);
  options.generate.max_tokens = a.max_tokens;
  options.generate.logprobs = a.sampling.logprobs;
  options.generate.cancelled = interrupted;
  const answer::SamplingChoices choices = TRY(sampling_choices(a.sampling));
  const auto grammar = TRY(answer_grammar(a.sampling));

  const answer::OpenOptions open = TRY(open_options(a));
  const answer::OpenedModel model = TRY(open_model(a.model, open));
  // Lookahead is greedy, whatever the model's makers want.
  options.generate.sampler = answer::sampler_options(
      choices, a.speculation.lookahead ? generate::SamplerOptions() : model.sampling());
  if (!a.sampling.ignore_eos) options.generate.stop_tokens = model.stop_ids();
  if (grammar) {
    options.new_filter = [&model, grammar, trie = answer::token_trie(model),
                          stop_ids = options.generate.stop_tokens] {
      return answer::constrain(model, grammar, trie, stop_ids);
    };
  }
  Sessions sessions;
  generate::Session& session = *(sessions[a.adapter] = TRY(model.new_session(a.adapter)));
  const auto drafter =
      TRY(set_speculation(a.speculation, model, session.model(), open, options.generate));
  const std::string where =
      a.chat_template.empty() ? a.model : fmt::format("{} with {}", a.model, a.chat_template);
  chat::Conversation conversation = TRY(within(
      where, chat::Conversation::create(session, *model.tokenizer(), *model.chat_template(),
                                        text::replace_invalid_utf8(a.system), std::move(options))));
  const auto input = TRY(ChatInput::create(a.commands));
  return Chat(a, model, sessions, conversation, *input).run();
}

}  // namespace

Action setup_chat(Parser& parser) {
  auto arguments = std::make_shared<ChatArguments>();
  ChatArguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte to talk to")->required();
  parser.add_option("--adapter", a.adapter, kAdapterHelp);
  parser.add_option("-t,--tokenizer", a.tokenizer,
                    "Tokenizer: a file or a model's directory (default: the one in the .pte)");
  parser.add_option("--chat_template", a.chat_template,
                    "File of the Jinja template (default: the one in the .pte)");
  parser.add_option("--system", a.system, "System prompt");
  parser.add_flag("--commands", a.commands,
                  "Take commands such as /save from standard input though it is no terminal");
  parser.add_option("-n,--max_new_tokens", a.max_tokens, "Tokens of an answer at most")
      ->check(number_between(1, kMostTokens))
      ->show_default();
  parser
      .add_option("--on_full", a.on_full,
                  "When the context is full: stop, slide (forget the oldest turns) or reset\n"
                  "(forget all turns before this one)")
      ->check(one_of({"stop", "slide", "reset"}))
      ->show_default();
  add_sampling_options(parser, a.sampling);
  add_speculation_options(parser, a.speculation);
  add_engine_options(parser, a.threads, a.numerics);
  parser.add_option("--stats", a.stats, "Statistics of each answer on stderr: text, json or none")
      ->check(one_of({"text", "json", "none"}))
      ->show_default();
  return [arguments] { return run_chat(*arguments); };
}

}  // namespace diptych::cli
