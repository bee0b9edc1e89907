#include "measure/plans.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/json.h"
#include "generate/call_groups.h"
#include "generate/session.h"

namespace diptych::measure {

namespace {

// Calls of each function that the planner learns from before anything is measured: the first does
// not count, and full calls and those of few rows tell apart what grows with rows.
constexpr int kLessons = 4;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class PlanBenchmark {
 public:
  PlanBenchmark(generate::Session& session, Progress& progress)
      : session_(session), model_(session.model()), progress_(progress) {
    for (int64_t i = 0; i < model_.max_context; ++i)
      tokens_.push_back((i * 7919) % model_.vocab_size);
  }

  Status teach() {
    for (size_t function = 0; function < model_.functions.size(); ++function) {
      session_.use_only(function);
      const int64_t most = std::min(model_.functions[function].method.tokens, model_.max_context);
      for (int i = 0; i < kLessons && !progress_.cancelled(); ++i) {
        TRY(evaluate(i % 2 == 0 ? most : (most + 3) / 4));
      }
    }
    return {};
  }

  // Adds one measurement of each way to the row.
  Status measure(PlanRow& row) {
    TRY(measure(row, std::nullopt));
    for (size_t function = 0; function < model_.functions.size(); ++function) {
      if (is_alternative(function, row.tokens)) TRY(measure(row, function));
    }
    return {};
  }

 private:
  bool is_alternative(size_t function, int64_t tokens) const {
    if (model_.functions[function].method.tokens > 1) return true;
    return std::none_of(model_.functions.begin(), model_.functions.end(), [&](const auto& other) {
      return other.method.tokens > 1 && other.method.tokens < tokens;
    });
  }

  Status evaluate(int64_t tokens) {
    session_.rewind(0);
    TRY(session_.evaluate(std::span(tokens_).first(static_cast<size_t>(tokens))));
    return {};
  }

  Status measure(PlanRow& row, std::optional<size_t> function) {
    session_.use_only(function);
    const double cpu = cpu_seconds();
    const auto start = Clock::now();
    TRY(evaluate(row.tokens));
    const double seconds = seconds_since(start);
    const std::string calls = generate::calls_text(session_.calls(), model_);
    row.times[calls].add(seconds, cpu_seconds() - cpu);
    (function ? row.alone[model_.functions[*function].method.name] : row.planned) = calls;
    return {};
  }

  generate::Session& session_;
  const contract::Description& model_;
  Progress& progress_;
  std::vector<int64_t> tokens_;
};

Json to_json(const LeastTime& time) {
  return {{"seconds", time.seconds},
          {"cpu_seconds", time.cpu_seconds},
          {"measurements", time.measurements}};
}

}  // namespace

void LeastTime::add(double took, double cpu) {
  seconds = measurements == 0 ? took : std::min(seconds, took);
  cpu_seconds = measurements == 0 ? cpu : std::min(cpu_seconds, cpu);
  ++measurements;
}

std::string PlanRow::best_alone(double LeastTime::*time) const {
  std::string best;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [function, calls] : alone) {
    if (times.at(calls).*time >= least) continue;
    least = times.at(calls).*time;
    best = function;
  }
  return best;
}

double PlanRow::ratio(double LeastTime::*time) const {
  const std::string best = best_alone(time);
  return best.empty() ? 1 : planned_time().*time / (times.at(alone.at(best)).*time);
}

Result<PlanReport> measure_plans(const PlanOptions& options, Progress& progress) {
  PlanReport report;
  report.threads = options.threads > 0 ? options.threads : ThreadPool::default_threads();
  runtime::Options open;
  open.numerics = options.numerics;
  open.threads = report.threads;
  const auto program = TRY(runtime::Program::open(options.model, open));
  const auto session =
      TRY(within(options.model, generate::Session::create(program, options.adapter)));
  for (const int64_t length : options.lengths) {
    if (length < 1 || length > session->model().max_context) continue;
    report.rows.push_back({length, {}, {}, {}});
  }
  progress.begin(options.model, report.rows.size() * static_cast<uint64_t>(options.repetitions));
  PlanBenchmark benchmark(*session, progress);
  TRY(within(options.model, benchmark.teach()));
  // All lengths once, then again: what disturbs for a while disturbs all alike.
  for (int64_t i = 0; i < options.repetitions; ++i) {
    for (size_t row = 0; row < report.rows.size(); ++row) {
      if (progress.cancelled()) {
        report.interrupted = true;
        if (i == 0) report.rows.resize(row);
        progress.finish();
        return report;
      }
      TRY(within(options.model, benchmark.measure(report.rows[row])));
      progress.advance(1);
    }
  }
  progress.finish();
  return report;
}

Json to_json(const PlanReport& report) {
  Json rows = Json::array();
  for (const PlanRow& row : report.rows) {
    Json alone = Json::object();
    for (const auto& [function, calls] : row.alone) {
      alone[function] = to_json(row.times.at(calls));
      alone[function]["calls"] = calls;
    }
    Json planned = to_json(row.planned_time());
    planned["calls"] = row.planned;
    rows.push_back({{"tokens", row.tokens},
                    {"planned", std::move(planned)},
                    {"alone", std::move(alone)},
                    {"ratio", row.ratio(&LeastTime::seconds)},
                    {"cpu_ratio", row.ratio(&LeastTime::cpu_seconds)}});
  }
  return {{"threads", report.threads}, {"rows", std::move(rows)}};
}

}  // namespace diptych::measure
