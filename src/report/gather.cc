#include "answer/opened_model.h"
#include "base/clock.h"
#include "compare/calls.h"
#include "kernels/isa.h"
#include "report/report.h"
#include "tools/lint_file.h"

namespace diptych::report {

namespace {

// Tokens of a prompt that make the cache neither empty nor long, and decoded ones that are timed.
constexpr int64_t kPrompt = 16, kDecoded = 16;

Result<TimedStep> time_decoding(const std::string& path, int threads) {
  answer::OpenOptions open;
  open.threads = threads;
  open.tokenizer = open.chat_template = answer::Part::Unused;
  const auto model = TRY(answer::OpenedModel::open(path, open));
  const auto session = TRY(model.new_session());
  const int64_t prompt = std::min(kPrompt, model.max_context() / 2);
  const std::vector<int64_t> ids = compare::made_up_tokens(model.vocab_size(), prompt + kDecoded);
  TRY(session->evaluate(std::span(ids).first(static_cast<size_t>(prompt))));
  measure::Profiler profiler(0);
  const int64_t decoded = std::min(kDecoded, session->remaining());
  session->observe(&profiler);
  const auto start = Clock::now();
  for (int64_t i = 0; i < decoded; ++i) {
    TRY(session->evaluate(std::span(ids).subspan(static_cast<size_t>(prompt + i), 1)));
  }
  TimedStep result;
  result.profile = profiler.profile(decoded, seconds_since(start));
  session->observe(nullptr);
  ThreadPool pool(threads);
  const auto reader = TRY(measure::MemoryReader::create(pool));
  result.read_bytes_per_second = std::max(reader->measure(pool), reader->measure(pool));
  const measure::Peaks peaks = measure::measure_peaks(pool, kernels::selected_isa());
  for (const double peak : {peaks.fp32, peaks.int4, peaks.int8, peaks.bf16}) {
    result.operations_per_second = std::max(result.operations_per_second, peak);
  }
  return result;
}

}  // namespace

Result<Contents> gather(const std::string& path, const Options& options, Progress& progress) {
  Contents contents;
  contents.path = path;
  contents.inspection = TRY(tools::inspect(path));
  contents.sharing = tools::sharing_of(contents.inspection);
  contents.subject = TRY(compare::open_subject(path, options.threads));
  std::optional<float> hidden;
  if (const auto* model = contents.subject.model()) hidden = model->hidden;
  contents.lint = lint::lint(tools::lint_subject(contents.inspection, hidden));
  if (options.verify) {
    verify::Options checks;
    checks.source = options.source;
    checks.threads = options.threads;
    contents.verification = TRY(verify::verify(path, checks, progress));
  }
  if (options.profile && contents.subject.model() != nullptr) {
    progress.begin("timing", 0);
    contents.decode = TRY(time_decoding(path, options.threads));
  }
  return contents;
}

}  // namespace diptych::report
