// diptych run: prompt in, text out.

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <utility>

#include "answer/constraint.h"
#include "answer/opened_model.h"
#include "answer/text_stream.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/generation_statistics.h"
#include "cli/sampling_options.h"
#include "cli/speculation_options.h"
#include "cli/terminal.h"
#include "generate/call_groups.h"
#include "generate/generator.h"
#include "generate/session.h"

namespace diptych::cli {

namespace {

constexpr uint64_t kMostPromptBytes = uint64_t{64} << 20;

struct RunArguments {
  std::string model, adapter, tokenizer, prompt, prompt_file, ids, numerics, stats = "text";
  generate::GenerateOptions options;
  SamplingArguments sampling;
  SpeculationArguments speculation;
  bool print_ids = false, specials = false, no_bos = false;
  int threads = 0;
  bool has_prompt = false, has_file = false, has_ids = false;

  bool has_text() const { return has_prompt || has_file; }
};

Result<std::vector<int64_t>> parse_ids(std::string_view text) {
  std::vector<int64_t> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    while (at != end && *at == ' ') ++at;
    int64_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc()) break;
    ids.push_back(id);
    at = next;
    if (at == end) return ids;
    if (*at++ != ',') break;
  }
  return usage_error(
      fmt::format("--ids: expected token ids separated by commas, found \"{}\"", text));
}

Status check_arguments(const RunArguments& a) {
  if (int{a.has_prompt} + int{a.has_file} + int{a.has_ids} != 1) {
    return usage_error("give a prompt (-p), a file of it (--prompt-file) or token ids (--ids)");
  }
  if (a.has_ids && (a.specials || a.no_bos)) {
    return usage_error("--specials and --no-bos say how a prompt becomes tokens; --ids are tokens");
  }
  return {};
}

// The prompt of -p or --prompt-file, every byte of it.
Result<std::string> prompt_text(const RunArguments& a) {
  if (a.has_prompt) return a.prompt;
  if (a.prompt_file == "-") return read_standard_input(kMostPromptBytes);
  return read_text_file(a.prompt_file, kMostPromptBytes);
}

// The prompt's ids; `text` is that of -p or --prompt-file.
Result<std::vector<int64_t>> prompt_ids(const RunArguments& a, const answer::OpenedModel& model,
                                        const std::optional<std::string>& text) {
  if (!text) return parse_ids(a.ids);
  const auto specials = a.specials ? text::Specials::AsTokens : text::Specials::AsText;
  std::vector<int64_t> ids = TRY(model.encode(*text, !a.no_bos, specials));
  if (!a.no_bos && ids.size() > 1 && ids[0] == model.tokenizer()->bos() && ids[1] == ids[0]) {
    tell(
        "diptych run: warning: the prompt has a beginning-of-text token of its own and gets "
        "another; --no-bos leaves that out");
  }
  return ids;
}

// A tokenizer is needed where text comes in or goes out, or one is named.
answer::Part tokenizer_part(const RunArguments& a) {
  if (a.has_text() || !(a.print_ids || a.sampling.json) || !a.sampling.stop.empty() ||
      !a.tokenizer.empty() || !a.sampling.json_schema.empty() || !a.sampling.grammar.empty()) {
    return answer::Part::Needed;
  }
  return a.sampling.json ? answer::Part::IfThere : answer::Part::Unused;
}

Result<answer::OpenOptions> open_options(const RunArguments& a) {
  answer::OpenOptions options;
  options.numerics = TRY(numerics_from(a.numerics));
  options.threads = a.threads;
  options.tokenizer = tokenizer_part(a);
  options.tokenizer_path = a.tokenizer;
  options.chat_template = answer::Part::Unused;
  return options;
}

// How the answer is printed: text as it becomes complete, ids, or all at the end.
enum class Form : uint8_t { Text, Ids, Json };

// Prints the prompt's text before the first piece of the answer, then the pieces.
class Printer {
 public:
  Printer(Form form, std::string prompt) : form_(form), prompt_(std::move(prompt)) {}

  Status add(const answer::Piece& piece) {
    const bool first = !std::exchange(begun_, true);
    switch (form_) {
      case Form::Text:
        if (first) TRY(write_results(prompt_));
        return write_results(piece.text);
      case Form::Ids:
        if (!piece.token) return {};
        return write_results(fmt::format("{}{}", first ? "" : ",", *piece.token));
      case Form::Json:
        return {};
    }
    return {};
  }
  // The end of what was begun.
  Status finish() { return begun_ && form_ != Form::Json ? write_results("\n") : Status(); }

 private:
  Form form_;
  std::string prompt_;
  bool begun_ = false;
};

struct RunStatistics {
  double load_seconds = 0;
  size_t prompt_tokens = 0;
  generate::Generation generation;
};

void print_text_statistics(const RunStatistics& s, const generate::Session& session,
                           bool speculates) {
  const generate::Generation& g = s.generation;
  tell("load     {:>10}", human_seconds(s.load_seconds));
  tell("prefill  {:>10}  {} tokens, {:.1f} tok/s", human_seconds(g.prefill_seconds),
       s.prompt_tokens, rate(static_cast<double>(s.prompt_tokens), g.prefill_seconds));
  if (!g.prompt_calls.empty()) {
    tell("calls    {}", generate::calls_text(g.prompt_calls, session.model()));
  }
  tell("decode   {:>10}  {} tokens, {:.1f} tok/s, {} steps, stopped by {}",
       human_seconds(g.decode_seconds), decoded_tokens(g),
       rate(decoded_tokens(g), g.decode_seconds), g.decode_steps, generate::name(g.reason));
  if (speculates) tell("drafts   {}", drafts_text(g));
  for (const auto& [method, statistics] : session.statistics()) {
    tell("method {:<10} {:>6} calls, {} each, {} in all", method, statistics.calls,
         human_seconds(statistics.seconds / static_cast<double>(statistics.calls)),
         human_seconds(statistics.seconds));
  }
}

void print_json_statistics(const RunStatistics& s, const generate::Session& session,
                           bool speculates) {
  const generate::Generation& g = s.generation;
  Json methods = Json::object();
  for (const auto& [method, statistics] : session.statistics()) {
    methods[method] = {
        {"calls", statistics.calls}, {"tokens", statistics.rows}, {"seconds", statistics.seconds}};
  }
  Json decode = {{"tokens", static_cast<int64_t>(decoded_tokens(g))},
                 {"seconds", g.decode_seconds},
                 {"tokens_per_second", rate(decoded_tokens(g), g.decode_seconds)},
                 {"steps", g.decode_steps}};
  if (speculates) add_drafts(g, decode);
  const Json json = {
      {"load_seconds", s.load_seconds},
      {"prefill",
       {{"tokens", s.prompt_tokens},
        {"seconds", g.prefill_seconds},
        {"tokens_per_second", rate(static_cast<double>(s.prompt_tokens), g.prefill_seconds)},
        {"calls", calls_json(g, session)}}},
      {"decode", decode},
      {"methods", methods},
      {"generated_tokens", g.tokens.size()},
      {"stop_reason", generate::name(g.reason)},
      {"position", session.position()},
      {"max_context", session.model().max_context},
      {"peak_memory_bytes", peak_memory_bytes()}};
  fmt::print(stderr, "{}\n", printable(dump_json(json)));
}

void warn(const RunStatistics& s, const generate::Session& session) {
  if (s.generation.reason == generate::StopReason::ContextFull) {
    tell(
        "diptych run: stopped: all {} positions of the context are used; export with a larger "
        "--max_context_len for more",
        session.model().max_context);
  }
  const engine::Overflows overflows = session.overflows();
  if (overflows.count > 0) {
    tell(
        "diptych run: warning: {} fp16 results overflowed to infinity, the first in {}{}; "
        "--numerics precise computes them in fp32",
        overflows.count, overflows.first_op,
        overflows.near_weight.empty() ? "" : " before " + overflows.near_weight);
  }
}

// Generates and prints. What was printed of an answer that failed stays, on a line of its own.
Result<generate::Generation> print_answer(const RunArguments& a, const answer::OpenedModel& model,
                                          generate::Session& session,
                                          const std::vector<int64_t>& prompt,
                                          const std::optional<std::string>& text,
                                          const generate::GenerateOptions& options,
                                          text::StopTexts stops) {
  const Form form = a.sampling.json ? Form::Json : a.print_ids ? Form::Ids : Form::Text;
  std::optional<Printer> printer;
  Status printed;
  answer::TextStream stream(model.tokenizer(), std::move(stops), [&](const answer::Piece& piece) {
    if (printed) printed = printer->add(piece);
    return printed && !interrupted();
  });
  const std::string prompt_text = stream.begin_after(prompt);
  printer.emplace(form, text.value_or(prompt_text));
  generate::Sampler sampler(options.sampler);
  Status generated = stream.generate(session, prompt, options, sampler);
  std::optional<answer::Answer> answer;
  if (generated && printed) answer = stream.finish();
  if (printed) printed = printer->finish();
  TRY(std::move(printed));
  TRY(within(a.model, std::move(generated)));
  if (form == Form::Json) {
    const Json json = answer_json(answer->generation, answer->text, model.tokenizer());
    TRY(write_results(dump_json(json) + "\n"));
  }
  return std::move(answer->generation);
}

Status run_model(const RunArguments& a) {
  TRY(check_arguments(a));
  // Wrong usage is found before files are opened.
  const answer::SamplingChoices choices = TRY(sampling_choices(a.sampling));
  text::StopTexts stops = TRY(stop_texts(a.sampling));
  const auto grammar = TRY(answer_grammar(a.sampling));
  std::optional<std::string> text;
  if (a.has_text()) text = TRY(prompt_text(a));
  const auto start = std::chrono::steady_clock::now();
  const answer::OpenOptions open = TRY(open_options(a));
  const answer::OpenedModel model = TRY(open_model(a.model, open));
  const auto session = TRY(model.new_session(a.adapter));
  const std::vector<int64_t> prompt = TRY(prompt_ids(a, model, text));
  generate::GenerateOptions options = a.options;
  options.logprobs = a.sampling.logprobs;
  options.cancelled = interrupted;
  // Lookahead is greedy, whatever the model's makers want.
  options.sampler = answer::sampler_options(
      choices, a.speculation.lookahead ? generate::SamplerOptions() : model.sampling());
  if (!a.sampling.ignore_eos) options.stop_tokens = model.stop_ids();
  TRY(within(a.model, generate::check(options.sampler, model.vocab_size())));
  std::unique_ptr<generate::TokenFilter> filter;
  if (grammar) {
    filter = answer::constrain(model, grammar, answer::token_trie(model), options.stop_tokens);
    options.filter = filter.get();
  }
  const auto drafter = TRY(set_speculation(a.speculation, model, session->model(), open, options));

  RunStatistics statistics;
  statistics.prompt_tokens = prompt.size();
  statistics.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  stop_on_interrupt();
  statistics.generation =
      TRY(print_answer(a, model, *session, prompt, text, options, std::move(stops)));
  if (a.stats == "text") print_text_statistics(statistics, *session, a.speculation.any());
  if (a.stats == "json") print_json_statistics(statistics, *session, a.speculation.any());
  warn(statistics, *session);
  if (interrupted()) return fail(ErrorCode::Cancelled, "interrupted");
  return {};
}

}  // namespace

Action setup_run(Parser& parser) {
  auto arguments = std::make_shared<RunArguments>();
  RunArguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte to run")->required();
  parser.add_option("--adapter", a.adapter, kAdapterHelp);
  parser.add_option("-t,--tokenizer", a.tokenizer,
                    std::string(kTokenizerHelp) + " (default: the one that the model carries)");
  auto* prompt = parser.add_option("-p,--prompt", a.prompt, "Text to continue");
  auto* file =
      parser.add_option("--prompt_file", a.prompt_file,
                        "File of the text to continue, every byte of it; -: standard input");
  parser.add_flag("--specials", a.specials,
                  "Let names of special tokens in the prompt (<|eot_id|>) be these tokens");
  parser.add_flag("--no_bos", a.no_bos, "Put no beginning-of-text token before the prompt");
  auto* ids = parser.add_option("--ids", a.ids, "Token ids to continue instead of a prompt: 1,2,3");
  parser.add_option("-n,--max_new_tokens", a.options.max_tokens, "Tokens to generate at most")
      ->check(number_between(0, kMostTokens))
      ->show_default();
  add_sampling_options(parser, a.sampling);
  add_speculation_options(parser, a.speculation);
  parser
      .add_flag("--print_ids", a.print_ids,
                "Print the generated ids, comma-separated, instead of text")
      ->excludes("--json");
  add_engine_options(parser, a.threads, a.numerics);
  parser.add_option("--stats", a.stats, "Statistics on stderr: text, json or none")
      ->check(one_of({"text", "json", "none"}))
      ->show_default();
  return [arguments, prompt, file, ids] {
    arguments->has_prompt = prompt->count() > 0;
    arguments->has_file = file->count() > 0;
    arguments->has_ids = ids->count() > 0;
    return run_model(*arguments);
  };
}

}  // namespace diptych::cli
