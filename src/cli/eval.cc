// diptych eval: how well a model predicts a text, and how far its predictions are from another's.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "answer/opened_model.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "evaluate/evaluate.h"
#include "text/tokenizer.h"

namespace diptych::cli {

namespace {

struct EvalArguments {
  std::string model, adapter, tokenizer, text, ids, numerics, against, against_numerics, part;
  int64_t max_positions = 0, context = 0;
  int threads = 0;
  bool json = false;

  bool compares() const { return !against.empty() || !against_numerics.empty(); }
};

// A model opened with the numerics that were asked for.
struct Side {
  engine::Numerics numerics = engine::Numerics::Precise;
  answer::OpenedModel model;
  std::unique_ptr<generate::Session> session;

  const std::string& path() const { return model.path(); }
};

Result<Side> open_side(const std::string& path, const answer::OpenOptions& options,
                       const std::string& adapter) {
  auto model = TRY(open_model(path, options));
  auto session = TRY(model.new_session(adapter));
  return Side{options.numerics, std::move(model), std::move(session)};
}

Result<Side> open_evaluated(const EvalArguments& a) {
  answer::OpenOptions options;
  options.numerics = TRY(numerics_from(a.numerics));
  options.threads = a.threads;
  const bool has_text = a.ids.empty() || !a.tokenizer.empty();
  options.tokenizer = has_text ? answer::Part::Needed : answer::Part::Unused;
  options.tokenizer_path = a.tokenizer;
  options.chat_template = answer::Part::Unused;
  return open_side(a.model, options, a.adapter);
}

// Without numerics of its own the reference has the model's: then only the files differ.
Result<std::optional<Side>> open_reference(const EvalArguments& a, engine::Numerics numerics) {
  if (!a.compares()) return std::nullopt;
  if (!a.against_numerics.empty()) {
    numerics =
        TRY(as_usage(within("--against_numerics", engine::numerics_from_name(a.against_numerics))));
  }
  answer::OpenOptions options;
  options.numerics = numerics;
  options.threads = a.threads;
  options.tokenizer = options.chat_template = answer::Part::Unused;
  return TRY(open_side(a.against.empty() ? a.model : a.against, options, {}));
}

// Ids separated by blanks, commas or line ends.
Result<std::vector<int64_t>> parse_ids(std::string_view text) {
  constexpr std::string_view kSeparators = " ,\t\r\n";
  std::vector<int64_t> ids;
  for (size_t at = 0; (at = text.find_first_not_of(kSeparators, at)) != text.npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    int64_t id = 0;
    const auto [stop, error] = std::from_chars(&text[at], text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end) {
      return invalid_data(
          "expected token ids separated by blanks, commas or lines, found \"{}\" "
          "at offset {}",
          text.substr(at, std::min<size_t>(end - at, 20)), at);
    }
    ids.push_back(id);
    at = end;
  }
  return ids;
}

struct Part {
  int64_t index = 0, count = 1;  // from 0
};

// "2/16", the second of 16.
Result<Part> parse_part(const std::string& text) {
  if (text.empty()) return Part{};
  Part part;
  const char* const end = text.data() + text.size();
  const auto [slash, error] = std::from_chars(text.data(), end, part.index);
  bool good = error == std::errc() && slash != end && *slash == '/';
  if (good) {
    const auto [stop, bad] = std::from_chars(slash + 1, end, part.count);
    good = bad == std::errc() && stop == end && part.index >= 1 && part.index <= part.count &&
           part.count <= 1'000'000;
  }
  if (!good) {
    return usage_error(fmt::format(
        "--part: expected the part and the number of parts, such as 2/16, found {}", text));
  }
  --part.index;
  return part;
}

// The text's tokens without what the tokenizer puts before them.
Result<std::vector<int64_t>> read_tokens(const EvalArguments& a, const text::Tokenizer* tokenizer) {
  if (a.ids.empty()) {
    const std::string text = TRY(read_text_file(a.text, text::kMaxTextBytes));
    const auto ids = TRY(within(a.text, tokenizer->encode(text, false)));
    return std::vector<int64_t>(ids.begin(), ids.end());
  }
  const std::string text = TRY(read_text_file(a.ids, text::kMaxTextBytes));
  auto ids = TRY(within(a.ids, parse_ids(text)));
  if (!tokenizer) return ids;
  // Ids may have been written with the prefix that every window gets anyway.
  const std::vector<text::TokenId>& prefix = tokenizer->prefix();
  if (std::equal(prefix.begin(), prefix.end(), ids.begin(),
                 ids.begin() + std::min(std::ssize(prefix), std::ssize(ids)))) {
    ids.erase(ids.begin(), ids.begin() + std::ssize(prefix));
  }
  return ids;
}

Result<std::vector<evaluate::Window>> read_windows(const EvalArguments& a, const Side& model,
                                                   const std::optional<Side>& reference) {
  int64_t length = model.model.max_context();
  if (reference) length = std::min(length, reference->model.max_context());
  if (a.context > length) {
    return usage_error(
        fmt::format("--context: expected at most {}, which is the context of the "
                    "model{}, found {}",
                    length, reference ? "s" : "", a.context));
  }
  if (a.context > 0) length = a.context;
  const text::Tokenizer* tokenizer = model.model.tokenizer();
  const std::vector<int64_t> tokens = TRY(read_tokens(a, tokenizer));
  std::vector<int64_t> prefix;
  if (tokenizer) prefix.assign(tokenizer->prefix().begin(), tokenizer->prefix().end());
  return evaluate::make_windows(tokens, prefix, length, a.max_positions);
}

Json to_json(const Side& side, const evaluate::Quality& quality) {
  return {{"model", side.path()},
          {"numerics", engine::name(side.numerics)},
          {"nll", quality.mean_nll},
          {"perplexity", quality.perplexity()},
          {"seconds", quality.seconds}};
}

Json to_json(const evaluate::Comparison& c) {
  return {{"kl_mean", c.mean_kl},
          {"kl_max", c.max_kl},
          {"top1_agreement", c.top1_agreement},
          {"logit_difference_mean", c.mean_logit_difference},
          {"logit_difference_max", c.max_logit_difference}};
}

struct Outcome {
  const Side& model;
  const std::optional<Side>& reference;
  int64_t context = 0;
  bool part = false;
  evaluate::Evaluation evaluation;
};

// Sums, from which who evaluates the parts of a text makes its figures.
Json to_json(const evaluate::WindowSums& sums, bool compared) {
  Json json = {{"positions", sums.positions}, {"nll", sums.nll}};
  if (!compared) return json;
  json["against_nll"] = sums.reference_nll;
  json["kl"] = sums.kl;
  json["kl_max"] = sums.max_kl;
  json["top1"] = sums.same_top1;
  json["logit_differences"] = sums.logit_differences;
  json["logit_difference_max"] = sums.max_logit_difference;
  return json;
}

std::string json_text(const Outcome& o) {
  Json json = to_json(o.model, o.evaluation.model);
  json["positions"] = o.evaluation.positions;
  json["windows"] = o.evaluation.windows.size();
  json["context"] = o.context;
  json["against"] = o.reference ? to_json(*o.reference, *o.evaluation.reference) : Json(nullptr);
  json["comparison"] = o.evaluation.comparison ? to_json(*o.evaluation.comparison) : Json(nullptr);
  if (o.part) {
    json["sums"] = Json::array();
    for (const evaluate::WindowSums& sums : o.evaluation.windows) {
      json["sums"].push_back(to_json(sums, o.evaluation.comparison.has_value()));
    }
  }
  return dump_json(json, 2) + "\n";
}

std::string tables(const Outcome& o) {
  std::string out = fmt::format("{} positions in {} windows of up to {}\n\n",
                                o.evaluation.positions, o.evaluation.windows.size(), o.context);
  Table qualities({"", "file", "numerics", "perplexity", "mean nll", "seconds"});
  const auto add = [&](const char* role, const Side& side, const evaluate::Quality& quality) {
    qualities.add({role, side.path(), std::string(engine::name(side.numerics)),
                   fmt::format("{:.4f}", quality.perplexity()),
                   fmt::format("{:.6f}", quality.mean_nll),
                   fmt::format("{:.2f}", quality.seconds)});
  };
  add("model", o.model, o.evaluation.model);
  if (o.reference) add("reference", *o.reference, *o.evaluation.reference);
  out += qualities.text();
  if (!o.evaluation.comparison) return out;
  const evaluate::Comparison& c = *o.evaluation.comparison;
  Table comparison({"model against reference", "mean", "max"});
  comparison.add({"KL(reference || model), nats", fmt::format("{:.3g}", c.mean_kl),
                  fmt::format("{:.3g}", c.max_kl)});
  comparison.add({"|difference of logits|", fmt::format("{:.3g}", c.mean_logit_difference),
                  fmt::format("{:.3g}", c.max_logit_difference)});
  comparison.add({"same most probable token", fmt::format("{:.3f} %", 100 * c.top1_agreement), ""});
  return out + "\n" + comparison.text();
}

void warn_of_overflows(const Side& side) {
  const engine::Overflows overflows = side.session->overflows();
  if (overflows.count == 0) return;
  tell(
      "diptych eval: warning: {}: {} fp16 results overflowed to infinity, the first in {}; "
      "--numerics precise computes them in fp32",
      side.path(), overflows.count, overflows.first_op);
}

// Of a part without windows: there are more parts than windows. Means of nothing are no numbers.
evaluate::Evaluation evaluation_of_nothing(bool compared) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  evaluate::Evaluation evaluation;
  evaluation.model.mean_nll = kNone;
  if (!compared) return evaluation;
  evaluation.reference = evaluation.model;
  evaluation.comparison = evaluate::Comparison{kNone, kNone, kNone, kNone, kNone};
  return evaluation;
}

Status evaluate_model(const EvalArguments& a) {
  if (a.text.empty() == a.ids.empty()) {
    return usage_error("give the text to predict, either as such (--text) or as ids (--ids)");
  }
  const Part part = TRY(parse_part(a.part));
  const Side model = TRY(open_evaluated(a));
  const std::optional<Side> reference = TRY(open_reference(a, model.numerics));
  auto windows = TRY(read_windows(a, model, reference));
  const int64_t longest = windows.empty() ? 0 : std::ssize(windows.front().inputs);
  const bool has_windows = !windows.empty();
  windows = evaluate::part_of(std::move(windows), part.index, part.count);
  stop_on_interrupt();
  ProgressBar progress;
  generate::Session* const compared = reference ? reference->session.get() : nullptr;
  auto evaluation = windows.empty() && has_windows
                        ? evaluation_of_nothing(compared != nullptr)
                        : evaluate::evaluate(*model.session, compared, windows, progress);
  progress.finish();
  warn_of_overflows(model);
  if (reference) warn_of_overflows(*reference);
  const Outcome outcome{model, reference, longest, !a.part.empty(),
                        TRY(within(a.model, std::move(evaluation)))};
  return write_results(a.json ? json_text(outcome) : tables(outcome));
}

}  // namespace

Action setup_eval(Parser& parser) {
  auto arguments = std::make_shared<EvalArguments>();
  EvalArguments& a = *arguments;
  constexpr int64_t kMost = 1'000'000'000;
  parser.add_option("model", a.model, "The .pte to evaluate")->required();
  parser.add_option("--adapter", a.adapter, kAdapterHelp);
  parser.add_option("-t,--tokenizer", a.tokenizer,
                    std::string(kTokenizerHelp) + " (default: the one that the model carries)");
  parser.add_option("--text", a.text, "File of the text to predict, one the model has not seen");
  parser.add_option("--ids", a.ids,
                    "File of token ids instead of a text; with -t windows begin with its BOS");
  parser.add_option("--numerics", a.numerics, kNumericsHelp);
  parser.add_option("--against", a.against,
                    "The reference: another .pte; the same one if only its numerics are given");
  parser.add_option("--against_numerics", a.against_numerics,
                    "Numerics of the reference; by default the model's");
  parser
      .add_option("--max_positions", a.max_positions,
                  "Stop after so many predicted tokens; 0: the whole text")
      ->check(integer_between(0, kMost))
      ->show_default();
  parser.add_option("--context", a.context, "Tokens per window; 0: the model's context")
      ->check(integer_between(0, kMost))
      ->show_default();
  parser.add_option("--part", a.part,
                    "Only a part of the windows, such as 2/16, the second of 16; --json then has\n"
                    "each window's sums, which add up, in order, to the figures of the whole");
  add_threads_option(parser, a.threads);
  parser.add_flag("--json", a.json, "One JSON object instead of tables");
  return [arguments] { return evaluate_model(*arguments); };
}

}  // namespace diptych::cli
