#include "measure/measure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "generate/method_cost.h"
#include "generate/session.h"
#include "kernels/dot_loop.h"
#include "measure/limits.h"
#include "measure/machine.h"

namespace diptych::measure {

namespace {

using kernels::Arithmetic;

// Decoding longer than this tells nothing more to a warm-up.
constexpr int64_t kWarmUpTokens = 8;
// Kept of a test for the trace: some 10 MiB.
constexpr size_t kMostEvents = size_t{1} << 18;

// All tests of one model with one number of threads.
class ModelBenchmark {
 public:
  ModelBenchmark(const Options& options, const std::string& path, int threads, Progress& progress)
      : options_(options), path_(path), threads_(threads), progress_(progress) {}

  // Adds a row for every test that was measured or skipped; false when interrupted.
  Result<bool> run(const std::vector<TestCase>& tests, Report& report) {
    reset_peak_memory();
    TRY(start(tests));
    return within(path_, run_tests(tests, report));
  }

 private:
  Result<bool> run_tests(const std::vector<TestCase>& tests, Report& report) {
    std::vector<Row> mine;
    for (const TestCase& test : tests) {
      Row row;
      row.model = path_;
      row.test = test;
      if (test.drafted && !drafting_.text.empty()) row.test.depth = text_depth(test);
      row.threads = threads_;
      row.numerics = options_.numerics;
      row.limit_is = limit_name(test);
      row.skipped = skip_reason(row.test, session_->model());
      if (row.skipped.empty()) {
        TRY(prepare(row.test));
        if (!progress_.cancelled())
          TRY(evaluate(row.test, test.is_decode() ? kWarmUpTokens : test.tokens));
      }
      if (progress_.cancelled()) return false;
      mine.push_back(std::move(row));
    }
    // Before the buffer of the limit is there.
    start_.peak_memory_bytes = measure::peak_memory_bytes();
    if (std::any_of(mine.begin(), mine.end(), [](const Row& row) { return row.skipped.empty(); })) {
      reader_ = TRY(MemoryReader::create(program_->threads()));
    }
    for (Row& row : mine) {
      row.start = start_;
      if (row.skipped.empty()) TRY(measure(row));
      progress_.advance(static_cast<uint64_t>(options_.repetitions) - row.samples.size());
      if (row.skipped.empty() && row.samples.empty()) return false;
      if (options_.profile && row.skipped.empty() && !progress_.cancelled()) {
        TRY(profile(row, report.trace));
      }
      report.rows.push_back(std::move(row));
      if (progress_.cancelled()) return false;
    }
    return true;
  }

  // Opens the model and evaluates a first prompt: the shortest of the tests.
  Status start(const std::vector<TestCase>& tests) {
    const auto begin = Clock::now();
    runtime::Options options;
    options.numerics = options_.numerics;
    options.threads = threads_;
    program_ = TRY(runtime::Program::open(path_, options));  // its errors name the file
    session_ = TRY(within(path_, generate::Session::create(program_, options_.adapter)));
    if (options_.drafting) drafting_ = TRY(options_.drafting(path_, session_->model(), threads_));
    start_.load_seconds = seconds_since(begin);
    return within(path_, evaluate_first(tests, begin));
  }

  // `begin`: when opening began.
  Status evaluate_first(const std::vector<TestCase>& tests, Clock::time_point begin) {
    const contract::Description& model = session_->model();
    int64_t shortest = model.max_context;
    bool has_prompt = false;
    int64_t longest = kWarmUpTokens;
    for (const TestCase& test : tests) {
      const int64_t depth = test.drafted ? std::ssize(drafting_.text) : test.depth;
      longest = std::max(longest, depth + test.tokens);
      if (test.is_decode()) continue;
      has_prompt = true;
      shortest = std::min(shortest, test.tokens);
    }
    fill_tokens(std::min(longest, model.max_context), model.vocab_size);
    TRY(session_->evaluate(
        std::span(tokens_).first(static_cast<size_t>(has_prompt ? shortest : 1))));
    start_.first_token_seconds = seconds_since(begin);
    decode_cost_ = TRY(generate::method_cost(*program_, model.decode()));
    prefill_cost_ = TRY(generate::method_cost(*program_, model.prefill()));
    first_prefills_cost_ =
        TRY(generate::method_cost(*program_, model.prefill(), /*with_logits=*/false));
    return {};
  }

  // Where an answer with drafts begins: after the text, as far as there is room before it.
  int64_t text_depth(const TestCase& test) const {
    const int64_t room = session_->model().max_context - test.tokens;
    return std::clamp<int64_t>(std::ssize(drafting_.text) - 1, 0, std::max<int64_t>(room, 0));
  }

  // Which tokens they are makes no difference to the work, as long as they are many. Drafts are
  // made from a text, if there is one.
  void fill_tokens(int64_t count, int64_t vocab_size) {
    tokens_ = drafting_.text;
    uint64_t state = 1;
    for (int64_t i = std::ssize(tokens_); i < count; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      tokens_.push_back(static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(vocab_size)));
    }
  }

  // Fills the cache to the test's depth, or rewinds to it.
  Status prepare(const TestCase& test) {
    session_->rewind(std::min(session_->position(), test.depth));
    TRY(fill_to(test.depth, *session_));
    while (std::ssize(others_) < test.batch - 1) {
      others_.push_back(TRY(generate::Session::create(program_, options_.adapter)));
    }
    for (const auto& other : others_) {
      other->rewind(std::min(other->position(), test.depth));
      TRY(fill_to(test.depth, *other));
    }
    return {};
  }

  // In pieces, so that an interrupt need not wait for all of them.
  Status fill_to(int64_t depth, generate::Session& session) {
    while (session.position() < depth && !progress_.cancelled()) {
      const int64_t count =
          std::min(depth - session.position(), session.model().prefill().method.tokens);
      TRY(session.evaluate(std::span(tokens_).subspan(static_cast<size_t>(session.position()),
                                                      static_cast<size_t>(count))));
    }
    return {};
  }

  void rewind(const TestCase& test) {
    session_->rewind(test.depth);
    for (const auto& other : others_) other->rewind(test.depth);
  }

  // What the test times, `count` tokens of it at most.
  Status evaluate(const TestCase& test, int64_t count) {
    const auto tokens = std::span(tokens_).subspan(
        static_cast<size_t>(test.depth), static_cast<size_t>(std::min(count, test.tokens)));
    if (!test.is_decode()) {
      TRY(session_->evaluate(tokens));
      return {};
    }
    if (test.batch == 1) {
      for (size_t i = 0; i < tokens.size(); ++i) TRY(session_->evaluate(tokens.subspan(i, 1)));
      return {};
    }
    std::vector<generate::Session*> sessions = {session_.get()};
    while (std::ssize(sessions) < test.batch)
      sessions.push_back(others_[sessions.size() - 1].get());
    for (const int64_t token : tokens) {
      const std::vector<int64_t> one_each(sessions.size(), token);
      TRY(generate::Session::evaluate_together(sessions, one_each));
    }
    return {};
  }

  // Repetitions and measurements of the limit in turns, until done or interrupted.
  Status measure(Row& row) {
    const TestCase& test = row.test;
    std::vector<double> limits;
    for (int64_t i = 0; i < options_.repetitions && !progress_.cancelled(); ++i) {
      ThreadPool& pool = program_->threads();
      limits.push_back(test.is_decode() ? reader_->measure(pool)
                                        : peak_of(prefill_arithmetic(),
                                                  measure_peaks(pool, kernels::selected_isa())));
      TRY(prepare(test));
      if (test.drafted) {
        if (!row.drafts) row.drafts.emplace();
        const int64_t last = tokens_[static_cast<size_t>(test.depth)];
        row.samples.push_back(TRY(run_drafted(*session_, test.depth, last, test.tokens,
                                              drafting_.options, i % 2 == 0, *row.drafts)));
        progress_.advance(1);
        continue;
      }
      // Reading the buffer emptied the caches of what a model that fits them keeps there.
      TRY(evaluate(test, 1));
      rewind(test);
      const auto begin = Clock::now();
      TRY(evaluate(test, test.tokens));
      row.samples.push_back(static_cast<double>(test.batch * test.tokens) / seconds_since(begin));
      progress_.advance(1);
    }
    if (row.samples.empty()) return {};
    row.limit = median(limits);
    count_work(row);
    // Weights are read once a step.
    if (row.drafts) row.bytes_per_token /= row.drafts->tokens_per_step();
    return {};
  }

  // Runs the test once more and takes the times of its steps.
  Status profile(Row& row, Trace& trace) {
    if (!profiler_) profiler_.emplace(kMostEvents);
    TRY(prepare(row.test));
    session_->observe(&*profiler_);
    // The profiler makes room when it sees a function for the first time.
    Status status = evaluate(row.test, 1);
    rewind(row.test);
    profiler_->clear();
    const auto begin = Clock::now();
    if (status) status = evaluate(row.test, row.test.tokens);
    const double seconds = seconds_since(begin);
    session_->observe(nullptr);
    TRY(std::move(status));
    row.profile = profiler_->profile(row.test.batch * row.test.tokens, seconds);
    trace.add(fmt::format("{}, {} threads, {}", path_, threads_, row.test.name()),
              profiler_->events());
    return {};
  }

  // The multiply-adds of a full prefill call with logits.
  generate::MultiplyAdds prefill_arithmetic() const {
    const auto tokens = static_cast<uint64_t>(session_->model().prefill().method.tokens);
    generate::MultiplyAdds sum = prefill_cost_.per_call;
    for (const Arithmetic arithmetic : kernels::kArithmetics) {
      sum[arithmetic] += tokens * prefill_cost_.per_token[arithmetic];
    }
    return sum;
  }

  std::string limit_name(const TestCase& test) const {
    if (test.is_decode()) return std::string(kMemoryReadLimit);
    const generate::MultiplyAdds work = prefill_arithmetic();
    const kernels::Isa isa = kernels::selected_isa();
    const auto has = [isa](Arithmetic arithmetic) {
      return kernels::dot_loop(isa, arithmetic).run != nullptr;
    };
    const uint64_t integers = has(Arithmetic::Int4) ? work.int4 + work.int8 : 0;
    const uint64_t bf16 = has(Arithmetic::Bf16) ? work.bf16 : 0;
    std::vector<std::string> kinds;
    if (integers > 0) kinds.push_back(fmt::format("{} of {}", kIntegerLimit, kernels::name(isa)));
    if (bf16 > 0) kinds.push_back(fmt::format("{} of {}", kBf16Limit, kernels::name(isa)));
    if (kernels::sum(work) > integers + bf16 || kinds.empty()) kinds.emplace_back(kFmaLimit);
    return fmt::format("{}", fmt::join(kinds, " and "));
  }

  // Bytes and operations per token: what the test's calls need at least, divided by its tokens.
  // Padding of the last call of a prompt is no work that was asked for.
  void count_work(Row& row) const {
    const TestCase& test = row.test;
    const contract::Description& model = session_->model();
    const generate::MethodCost& cost = test.is_decode() ? decode_cost_ : prefill_cost_;
    const int64_t step = test.is_decode() ? 1 : model.prefill().method.tokens;
    const int64_t calls = (test.tokens + step - 1) / step;
    // Call i sees the depth and `i * step` positions more.
    double cached = 0;
    for (int64_t i = 0; i < calls; ++i) {
      cached += static_cast<double>(generate::cache_bytes_seen(model, test.depth + i * step));
    }
    const auto tokens = static_cast<double>(test.tokens);
    // A prompt's logits are those of its last call; of a decoded token always.
    const generate::MethodCost& other = test.is_decode() ? decode_cost_ : first_prefills_cost_;
    const auto others = static_cast<double>(calls - 1);
    const double weights =
        static_cast<double>(cost.weight_bytes) + others * static_cast<double>(other.weight_bytes);
    row.bytes_per_token = (weights / static_cast<double>(test.batch) + cached) / tokens;
    const double of_last = tokens - others * static_cast<double>(step);
    row.operations_per_token =
        2 *
        (of_last * static_cast<double>(kernels::sum(cost.per_token)) +
         static_cast<double>(kernels::sum(cost.per_call)) +
         others * (static_cast<double>(step) * static_cast<double>(kernels::sum(other.per_token)) +
                   static_cast<double>(kernels::sum(other.per_call)))) /
        tokens;
  }

  const Options& options_;
  const std::string& path_;
  int threads_;
  Progress& progress_;
  std::shared_ptr<runtime::Program> program_;
  std::unique_ptr<generate::Session> session_;
  std::vector<std::unique_ptr<generate::Session>> others_;  // of batches
  std::unique_ptr<MemoryReader> reader_;
  std::vector<int64_t> tokens_;
  Drafting drafting_;
  generate::MethodCost decode_cost_, prefill_cost_;
  generate::MethodCost first_prefills_cost_;  // of calls whose logits nobody sees
  Start start_;
  std::optional<Profiler> profiler_;
};

}  // namespace

Result<Report> run(const Options& options, Progress& progress) {
  const std::vector<TestCase> tests =
      make_tests(options.prompts, options.generations, options.depths, options.batches,
                 static_cast<bool>(options.drafting));
  if (tests.empty()) return invalid_argument("nothing to measure: all lengths are 0");
  // A model that cannot be measured is told before others are, which takes long.
  for (const std::string& path : options.models) {
    const auto program = TRY(runtime::Program::open(path, {}));
    TRY(within(path, generate::describe(*program, options.adapter)));
  }
  Report report;
  report.machine = cpu_model();
  for (const std::string& path : options.models) {
    for (const int wanted : options.threads) {
      const int threads = wanted > 0 ? wanted : ThreadPool::default_threads();
      progress.begin(fmt::format("{}, {} threads", path, threads),
                     tests.size() * static_cast<uint64_t>(options.repetitions));
      ModelBenchmark benchmark(options, path, threads, progress);
      report.interrupted = !TRY(benchmark.run(tests, report));
      progress.finish();
      if (report.interrupted) return report;
    }
  }
  return report;
}

}  // namespace diptych::measure
