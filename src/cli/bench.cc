// diptych bench: tokens per second of models, beside this machine's limits.

#include <fmt/format.h>

#include "measure/measure.h"
#include "measure/limits.h"
#include "measure/report.h"
#include "cli/command.h"
#include "cli/terminal.h"

namespace diptych::cli {

namespace {

struct BenchArguments {
  measure::Options options;
  std::string numerics;
  bool csv = false, json = false;
};

std::string giga(double per_second) { return fmt::format("{:.2f}", per_second / 1e9); }

std::string tables(const measure::Report& report) {
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
    const bool decode = row.test.is_decode();
    const std::string work = giga(row.work_per_second());
    speeds.add({row.model, row.test.name(), threads, fmt::format("{:.2f}", statistics.median),
                fmt::format("{:.2f}", statistics.mean), fmt::format("{:.2f}", statistics.sd),
                decode ? work : "-", decode ? "-" : work, giga(row.limit),
                fmt::format("{:.1f}", row.percent_of_limit()), ""});
  }
  if (speeds.empty()) return {};
  return fmt::format("{}, numerics {}; limits: {} for pp, {} for tg; tok/s is the median\n\n{}\n{}",
                     report.machine, engine::name(report.rows.front().numerics),
                     measure::kFmaLimit, measure::kMemoryReadLimit, speeds.text(),
                     starts.text());
}

Status measure(const BenchArguments& a) {
  measure::Options options = a.options;
  if (measure::make_tests(options.prompts, options.generations, options.depths).empty()) {
    return usage_error("nothing to measure: expected a length above 0 in -p or -n");
  }
  options.numerics = TRY(numerics_from(a.numerics));
  stop_on_interrupt();
  ProgressBar progress;
  auto measured = measure::run(options, progress);
  progress.finish();
  const measure::Report report = TRY(std::move(measured));
  TRY(write_results(a.json  ? dump_json(measure::to_json(report), 2) + "\n"
                    : a.csv ? measure::to_csv(report)
                            : tables(report)));
  if (report.interrupted) return fail(ErrorCode::Cancelled, "interrupted");
  return {};
}

}  // namespace

Action setup_bench(CLI::App& parser) {
  auto arguments = std::make_shared<BenchArguments>();
  BenchArguments& a = *arguments;
  constexpr int64_t kMostTokens = 1 << 24;
  parser.add_option("models", a.options.models, "The .pte files to measure")->required();
  const auto add_list = [&](const char* names, auto& list, int64_t least, int64_t most,
                            const char* help) {
    parser.add_option(names, list, help)
        ->delimiter(',')
        ->allow_extra_args(false)  // what follows may be a model
        ->check(CLI::Range(least, most))
        ->capture_default_str();
  };
  add_list("-p,--prompt", a.options.prompts, 0, kMostTokens,
           "pp tests: prompts of so many tokens; 0: none");
  add_list("-n,--generate", a.options.generations, 0, kMostTokens,
           "tg tests: so many tokens decoded one by one; 0: none");
  add_list("-d,--depth", a.options.depths, 0, kMostTokens,
           "Tokens in the cache before a test, for each of the tests");
  add_list("-t,--threads", a.options.threads, 0, 1024,
           "Threads, for each of the tests; 0: all CPUs of this process");
  parser.add_option("-r,--repetitions", a.options.repetitions, "Measurements of each test")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  parser.add_option("--numerics", a.numerics, kNumericsHelp);
  auto* csv = parser.add_flag("--csv", a.csv, "Comma-separated values instead of tables");
  parser.add_flag("--json", a.json, "A JSON array instead of tables")->excludes(csv);
  return [arguments] { return measure(*arguments); };
}

}  // namespace diptych::cli
