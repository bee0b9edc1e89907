// diptych bench: tokens per second of models, beside this machine's limits.

#include <fmt/format.h>

#include "answer/opened_model.h"
#include "base/file.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/side_file.h"
#include "cli/speculation_options.h"
#include "cli/terminal.h"
#include "measure/limits.h"
#include "measure/measure.h"
#include "measure/plans.h"
#include "measure/report.h"

namespace diptych::cli {

namespace {

struct BenchArguments {
  measure::Options options;
  SpeculationArguments speculation;
  std::string numerics, trace, text;
  bool csv = false, json = false, plans = false;
};

std::string giga(double per_second) { return fmt::format("{:.2f}", per_second / 1e9); }

// What drafts gave, beside the same answers without them.
std::string drafts_note(const measure::Row& row) {
  const measure::Drafts& drafts = *row.drafts;
  return fmt::format("{:.2f} x plain, acceptance {:.1f} %, {:.2f} tokens a step", row.speedup(),
                     100 * drafts.counts.acceptance(), drafts.tokens_per_step());
}

std::string speed_tables(const measure::Report& report) {
  Table speeds({"model", "test", "threads", "tok/s", "mean", "sd", "GB/s", "GOP/s", "limit",
                "% of limit", "note"});
  Table starts({"model", "threads", "load", "first token", "peak memory"});
  const measure::Row* last = nullptr;
  for (const measure::Row& row : report.rows) {
    const std::string threads = fmt::format("{}", row.threads);
    if (last == nullptr || last->model != row.model || last->threads != row.threads) {
      starts.add({row.model, threads, human_seconds(row.start.load_seconds),
                  human_seconds(row.start.first_token_seconds),
                  human_bytes(row.start.peak_memory_bytes)});
      last = &row;
    }
    if (row.samples.empty()) {
      speeds.add({row.model, row.test.name(), threads, "-", "-", "-", "-", "-", "-", "-",
                  "skipped: " + row.skipped});
      continue;
    }
    const measure::Statistics statistics = row.statistics();
    speeds.add({row.model, row.test.name(), threads, fmt::format("{:.2f}", statistics.median),
                fmt::format("{:.2f}", statistics.mean), fmt::format("{:.2f}", statistics.sd),
                giga(row.bytes_per_second()), giga(row.operations_per_second()), giga(row.limit),
                fmt::format("{:.1f}", row.percent_of_limit()),
                row.drafts ? drafts_note(row) : "of " + row.limit_is});
  }
  return fmt::format("{}, numerics {}; tok/s is the median\n\n{}\n{}", report.machine,
                     engine::name(report.rows.front().numerics), speeds.text(), starts.text());
}

// Of time `seconds` of the profile's whole.
std::vector<std::string> time_cells(const measure::Profile& profile, double seconds) {
  return {fmt::format("{:.3f}", 1e3 * seconds / static_cast<double>(profile.tokens)),
          fmt::format("{:.1f}", 100 * seconds / profile.seconds)};
}

std::string profile_tables(const measure::Row& row) {
  const measure::Profile& profile = *row.profile;
  Table ops({"function", "operation", "calls", "ms/token", "% of time", "GB/s", "GOP/s"});
  for (const measure::ProfileLine& line : measure::by_op(profile)) {
    const auto time = time_cells(profile, line.seconds);
    const bool linear = line.multiply_adds > 0;
    ops.add({line.function, line.op, fmt::format("{}", line.calls), time[0], time[1],
             linear ? giga(static_cast<double>(line.weight_bytes) / line.seconds) : "",
             linear ? giga(2 * static_cast<double>(line.multiply_adds) / line.seconds) : ""});
  }
  const auto outside = time_cells(profile, profile.seconds_outside());
  ops.add({"", "outside of functions", "", outside[0], outside[1], "", ""});
  Table layers({"function", "layer", "ms/token", "% of time"});
  for (const measure::ProfileLine& line : measure::by_layer(profile)) {
    const auto time = time_cells(profile, line.seconds);
    layers.add(
        {line.function, line.layer < 0 ? "none" : fmt::format("{}", line.layer), time[0], time[1]});
  }
  return fmt::format("\n{}, {}, {} threads: {} for {} tokens\n\n{}\n{}", one_line(row.model),
                     row.test.name(), row.threads, human_seconds(profile.seconds), profile.tokens,
                     ops.text(), layers.text());
}

std::string tables(const measure::Report& report) {
  if (report.rows.empty()) return {};
  std::string text = speed_tables(report);
  for (const measure::Row& row : report.rows) {
    if (row.profile) text += profile_tables(row);
  }
  return text;
}

std::string milliseconds(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }

std::string plan_table(const measure::PlanReport& report) {
  Table table({"tokens", "calls", "ms", "CPU ms", "best alone", "ms", "ratio", "CPU ratio"});
  const measure::PlanRow* worst = nullptr;
  const auto ratio = [](const measure::PlanRow& row) {
    return row.ratio(&measure::LeastTime::seconds);
  };
  for (const measure::PlanRow& row : report.rows) {
    const std::string best = row.best_alone(&measure::LeastTime::seconds);
    if (best.empty()) continue;
    table.add({fmt::format("{}", row.tokens), row.planned, milliseconds(row.planned_time().seconds),
               milliseconds(row.planned_time().cpu_seconds), best,
               milliseconds(row.times.at(row.alone.at(best)).seconds),
               fmt::format("{:.3f}", ratio(row)),
               fmt::format("{:.3f}", row.ratio(&measure::LeastTime::cpu_seconds))});
    if (worst == nullptr || ratio(row) > ratio(*worst)) worst = &row;
  }
  std::string text = table.text();
  if (worst != nullptr) {
    text += fmt::format("\nworst: {} tokens, {:.3f} x {} alone\n", worst->tokens, ratio(*worst),
                        worst->best_alone(&measure::LeastTime::seconds));
  }
  return text;
}

Status measure_plans(const BenchArguments& a) {
  if (a.options.models.size() != 1 || a.options.threads.size() != 1) {
    return usage_error("--plans measures one model with one number of threads");
  }
  if (a.speculation.any() || a.options.profile || a.csv) {
    return usage_error("--plans measures prompts only, and has no CSV form");
  }
  stop_on_interrupt();
  ProgressBar progress;
  auto measured = measure::measure_plans(
      {a.options.models.front(), a.options.prompts, a.options.threads.front(),
       a.options.repetitions, TRY(numerics_from(a.numerics)), a.options.adapter},
      progress);
  progress.finish();
  const measure::PlanReport report = TRY(std::move(measured));
  if (report.rows.empty() && !report.interrupted) {
    return usage_error("nothing to measure: expected a length in -p that fits the context");
  }
  TRY(write_results(a.json ? dump_json(measure::to_json(report), 2) + "\n" : plan_table(report)));
  if (report.interrupted) return fail(ErrorCode::Cancelled, "interrupted");
  return {};
}

// Drafts as the options say, for the model at `path`.
Result<measure::Drafting> make_drafting(const BenchArguments& a, const std::string& path,
                                        const contract::Description& description,
                                        engine::Numerics numerics, int threads) {
  answer::OpenOptions open;
  open.numerics = numerics;
  open.threads = threads;
  open.tokenizer = a.text.empty() ? answer::Part::IfThere : answer::Part::Needed;
  open.chat_template = answer::Part::Unused;
  const answer::OpenedModel model = TRY(open_model(path, open));
  measure::Drafting drafting;
  if (!a.text.empty()) {
    const std::string text = TRY(read_text_file(a.text, text::kMaxTextBytes));
    drafting.text = TRY(within(a.text, model.encode(text, true, text::Specials::AsText)));
    if (drafting.text.empty()) return within<measure::Drafting>(a.text, invalid_data("no tokens"));
  }
  drafting.drafter =
      TRY(set_speculation(a.speculation, model, description, open, drafting.options));
  return drafting;
}

Status measure(const BenchArguments& a) {
  if (a.plans) return measure_plans(a);
  measure::Options options = a.options;
  if (measure::make_tests(options.prompts, options.generations, options.depths).empty()) {
    return usage_error("nothing to measure: expected a length above 0 in -p or -n");
  }
  options.numerics = TRY(numerics_from(a.numerics));
  if (a.speculation.any()) {
    options.drafting = [&a, numerics = options.numerics](const std::string& path,
                                                         const contract::Description& description,
                                                         int threads) {
      return make_drafting(a, path, description, numerics, threads);
    };
  } else if (!a.text.empty()) {
    return usage_error(
        "--text is what drafts are made from; choose --prompt_lookup, --lookahead or --draft");
  }
  stop_on_interrupt();
  auto trace = TRY(SideFile::create(a.trace));
  ProgressBar progress;
  auto measured = measure::run(options, progress);
  progress.finish();
  const measure::Report report = TRY(std::move(measured));
  TRY(trace.write([&] { return report.trace.json(); }));
  TRY(write_results(a.json  ? dump_json(measure::to_json(report), 2) + "\n"
                    : a.csv ? measure::to_csv(report)
                            : tables(report)));
  if (report.interrupted) return fail(ErrorCode::Cancelled, "interrupted");
  return {};
}

}  // namespace

Action setup_bench(Parser& parser) {
  auto arguments = std::make_shared<BenchArguments>();
  BenchArguments& a = *arguments;
  constexpr int64_t kMostTokens = 1 << 24;
  parser.add_option("models", a.options.models, "The .pte files to measure")->required();
  const auto add_list = [&](const char* names, auto& list, int64_t least, int64_t most,
                            const char* help) {
    parser.add_option(names, list, help)
        ->split_at(',')
        ->one_value_each()  // what follows may be a model
        ->check(integer_between(least, most))
        ->show_default();
  };
  add_list("-p,--prompt", a.options.prompts, 0, kMostTokens,
           "pp tests: prompts of so many tokens; 0: none");
  add_list("-n,--generate", a.options.generations, 0, kMostTokens,
           "tg tests: so many tokens decoded one by one; 0: none");
  add_list("-d,--depth", a.options.depths, 0, kMostTokens,
           "Tokens in the cache before a test, for each of the tests");
  add_list("-b,--batch", a.options.batches, 1, 64,
           "tg tests of so many conversations that decode together; tok/s are of all");
  add_list("-t,--threads", a.options.threads, 0, 1024,
           "Threads, for each of the tests; 0: all CPUs of this process");
  parser.add_option("--adapter", a.options.adapter, kAdapterHelp);
  add_speculation_options(parser, a.speculation);
  parser.add_option("--text", a.text,
                    "With drafts: a file whose text the answers follow (default: random tokens)");
  parser.add_option("-r,--repetitions", a.options.repetitions, "Measurements of each test")
      ->check(integer_between(1, 1000))
      ->show_default();
  parser.add_option("--numerics", a.numerics, kNumericsHelp);
  auto* profile = parser.add_flag("--profile", a.options.profile,
                                  "Run each test once more and show the time of its operations");
  parser.add_option("--trace", a.trace, "Write the profiled steps here, for chrome://tracing")
      ->needs(profile);
  parser.add_flag("--plans", a.plans,
                  "Prompts of the lengths of -p by the calls that are chosen for them, beside each "
                  "function alone");
  auto* csv = parser.add_flag("--csv", a.csv, "Comma-separated values instead of tables");
  parser.add_flag("--json", a.json, "A JSON array instead of tables")->excludes(csv);
  return [arguments] { return measure(*arguments); };
}

}  // namespace diptych::cli
