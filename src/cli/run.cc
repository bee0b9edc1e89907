// diptych run: prompt in, text out.

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "card/model_card.h"
#include "cli/command.h"
#include "cli/sampling_options.h"
#include "cli/terminal.h"
#include "generate/generator.h"
#include "generate/session.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace diptych::cli {

namespace {

constexpr uint64_t kMostPromptBytes = uint64_t{64} << 20;

struct RunArguments {
  std::string model, tokenizer, prompt, prompt_file, ids, numerics, stats = "text";
  generate::GenerateOptions options;
  SamplingArguments sampling;
  generate::LookaheadOptions lookahead;
  bool use_lookahead = false, print_ids = false, specials = false, no_bos = false;
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

Result<std::vector<int64_t>> encode_prompt(const RunArguments& a, const text::Tokenizer& tokenizer,
                                           const std::string& text, int64_t context) {
  if (!tokenizer.check_may_fit(text.size(), context)) {
    return invalid_argument("the prompt is {} bytes long, more than {} tokens of context can hold",
                            text.size(), context);
  }
  const auto specials = a.specials ? text::Specials::AsTokens : text::Specials::AsText;
  const auto ids = TRY(tokenizer.encode(text, !a.no_bos, specials));
  if (!a.no_bos && ids.size() > 1 && ids[0] == tokenizer.bos() && ids[1] == ids[0]) {
    tell(
        "diptych run: warning: the prompt has a beginning-of-text token of its own and gets "
        "another; --no-bos leaves that out");
  }
  return std::vector<int64_t>(ids.begin(), ids.end());
}

// Where text comes in or goes out, or one is named.
bool needs_tokenizer(const RunArguments& a) {
  return a.has_text() || !(a.print_ids || a.sampling.json) || !a.sampling.stop.empty() ||
         !a.tokenizer.empty();
}

Result<std::unique_ptr<text::Tokenizer>> open_tokenizer_of(const RunArguments& a,
                                                           const runtime::Program& program,
                                                           int64_t vocab_size) {
  if (!needs_tokenizer(a) && !a.sampling.json) return nullptr;
  auto tokenizer = TRY(open_tokenizer_for(program, vocab_size, a.tokenizer));
  if (tokenizer || !needs_tokenizer(a)) return tokenizer;
  return within<std::unique_ptr<text::Tokenizer>>(
      a.model, not_found("the file carries no tokenizer; {}",
                         a.has_text() ? "name one for the prompt (-t)"
                                      : "name one (-t), or print ids (--print-ids)"));
}

// How the answer is printed: text as it becomes complete, ids, or all at the end.
enum class Form : uint8_t { Text, Ids, Json };

// Turns tokens into text, watches for stop texts, and prints.
class Printer {
 public:
  Printer(const text::Tokenizer* tokenizer, text::StopTexts stops, Form form)
      : tokenizer_(tokenizer), stops_(std::move(stops)), form_(form) {
    if (tokenizer != nullptr) decoder_.emplace(*tokenizer);
  }

  // The prompt as text where it was one, else that of its tokens.
  Status begin(const std::optional<std::string>& given, const std::vector<int64_t>& prompt) {
    std::string text;
    for (const int64_t id : prompt) text += decode(id);
    return form_ == Form::Text ? write_results(given.value_or(text)) : Status();
  }
  Status add(int64_t id) {
    TRY(add_text(stops_.add(decode(id))));
    if (form_ != Form::Ids) return {};
    const bool first = std::exchange(first_, false);
    return write_results(fmt::format("{}{}", first ? "" : ",", id));
  }
  Status finish(const generate::Generation& generation) {
    if (decoder_) TRY(add_text(stops_.add(decoder_->finish())));
    TRY(add_text(stops_.finish()));
    if (form_ != Form::Json) return write_results("\n");
    return write_results(dump_json(answer_json(generation, text_, tokenizer_)) + "\n");
  }
  bool stopped() const { return stops_.stopped(); }

 private:
  std::string decode(int64_t id) {
    return decoder_ ? decoder_->add(static_cast<text::TokenId>(id)) : std::string();
  }
  Status add_text(const std::string& text) {
    text_ += text;
    return form_ == Form::Text ? write_results(text) : Status();
  }

  const text::Tokenizer* tokenizer_;
  std::optional<text::StreamDecoder> decoder_;
  text::StopTexts stops_;
  Form form_;
  std::string text_;
  bool first_ = true;
};

struct RunStatistics {
  double load_seconds = 0;
  size_t prompt_tokens = 0;
  generate::Generation generation;

  // Tokens that decoding gave after the first, which belongs to the prompt's evaluation.
  double decoded() const {
    return generation.tokens.empty() ? 0 : static_cast<double>(generation.tokens.size() - 1);
  }
};

void print_text_statistics(const RunStatistics& s, const generate::Session& session) {
  const generate::Generation& g = s.generation;
  tell("load     {:>10}", human_seconds(s.load_seconds));
  tell("prefill  {:>10}  {} tokens, {:.1f} tok/s", human_seconds(g.prefill_seconds),
       s.prompt_tokens, rate(static_cast<double>(s.prompt_tokens), g.prefill_seconds));
  tell("decode   {:>10}  {} tokens, {:.1f} tok/s, {} steps, stopped by {}",
       human_seconds(g.decode_seconds), s.decoded(), rate(s.decoded(), g.decode_seconds),
       g.decode_steps, generate::name(g.reason));
  for (const auto& [method, statistics] : session.statistics()) {
    tell("method {:<10} {:>6} calls, {} each, {} in all", method, statistics.calls,
         human_seconds(statistics.seconds / static_cast<double>(statistics.calls)),
         human_seconds(statistics.seconds));
  }
}

void print_json_statistics(const RunStatistics& s, const generate::Session& session) {
  const generate::Generation& g = s.generation;
  Json methods = Json::object();
  for (const auto& [method, statistics] : session.statistics()) {
    methods[method] = {{"calls", statistics.calls}, {"seconds", statistics.seconds}};
  }
  const Json json = {
      {"load_seconds", s.load_seconds},
      {"prefill",
       {{"tokens", s.prompt_tokens},
        {"seconds", g.prefill_seconds},
        {"tokens_per_second", rate(static_cast<double>(s.prompt_tokens), g.prefill_seconds)}}},
      {"decode",
       {{"tokens", static_cast<int64_t>(s.decoded())},
        {"seconds", g.decode_seconds},
        {"tokens_per_second", rate(s.decoded(), g.decode_seconds)},
        {"steps", g.decode_steps}}},
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

Status run_model(const RunArguments& a) {
  TRY(check_arguments(a));
  generate::GenerateOptions options = a.options;
  TRY(sampler_options(a.sampling, {}));  // wrong usage is found before files are opened
  options.logprobs = a.sampling.logprobs;
  options.cancelled = interrupted;
  text::StopTexts stops = TRY(stop_texts(a.sampling));
  std::optional<std::string> text;
  if (a.has_text()) text = TRY(prompt_text(a));
  const auto start = std::chrono::steady_clock::now();
  auto program = TRY(runtime::Program::open(a.model, {TRY(numerics_from(a.numerics)), a.threads}));
  auto session = TRY(within(a.model, generate::Session::create(program)));
  const card::ModelCard card = TRY(within(a.model, card::read_card(program->container())));
  const auto tokenizer = TRY(open_tokenizer_of(a, *program, session->model().vocab_size));
  std::vector<int64_t> prompt;
  if (a.has_ids) {
    prompt = TRY(parse_ids(a.ids));
  } else {
    prompt = TRY(encode_prompt(a, *tokenizer, *text, session->model().max_context));
  }
  generate::SamplerOptions defaults = sampler_defaults(card.generation);
  if (a.use_lookahead) {  // greedy, whatever the model's makers want
    options.lookahead = a.lookahead;
    defaults = {};
  }
  options.sampler = TRY(sampler_options(a.sampling, std::move(defaults)));
  if (!a.sampling.ignore_eos) {
    options.stop_tokens.insert(card.eos.begin(), card.eos.end());
    if (tokenizer) {
      options.stop_tokens.insert(tokenizer->stop_ids().begin(), tokenizer->stop_ids().end());
    }
  }

  RunStatistics statistics;
  statistics.prompt_tokens = prompt.size();
  statistics.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  stop_on_interrupt();
  const Form form = a.sampling.json ? Form::Json : a.print_ids ? Form::Ids : Form::Text;
  Printer printer(tokenizer.get(), std::move(stops), form);
  bool begun = false;
  Status printed;
  auto generation = generate::generate(*session, prompt, options, [&](int64_t token) {
    if (!begun) printed = printer.begin(text, prompt);
    begun = true;
    if (printed) printed = printer.add(token);
    return printed && !interrupted() && !printer.stopped();
  });
  if (generation && printer.stopped()) generation->reason = generate::StopReason::StopText;
  if (generation && printed && (begun || form == Form::Json)) {
    printed = printer.finish(*generation);
  } else if (begun && printed) {
    printed = write_results("\n");
  }
  TRY(std::move(printed));
  statistics.generation = TRY(within(a.model, std::move(generation)));
  if (a.stats == "text") print_text_statistics(statistics, *session);
  if (a.stats == "json") print_json_statistics(statistics, *session);
  warn(statistics, *session);
  if (interrupted()) return fail(ErrorCode::Cancelled, "interrupted");
  return {};
}

}  // namespace

Action setup_run(Parser& parser) {
  auto arguments = std::make_shared<RunArguments>();
  RunArguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte to run")->required();
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
  parser.add_flag("--lookahead", a.use_lookahead,
                  "Lookahead decoding (single-method files, greedy)");
  parser.add_option("--ngram_size", a.lookahead.ngram_size, "Lookahead: n-gram size")
      ->show_default();
  parser.add_option("--window_size", a.lookahead.window, "Lookahead: window columns")
      ->show_default();
  parser
      .add_option("--n_verifications", a.lookahead.verifications,
                  "Lookahead: branches verified per step")
      ->show_default();
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
