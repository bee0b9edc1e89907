// Measures how fast models prefill and decode on this machine, beside what the machine can do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "engine/numerics.h"
#include "measure/drafted.h"
#include "measure/profile.h"
#include "measure/statistics.h"
#include "measure/test_case.h"
#include "measure/trace.h"

namespace diptych::measure {

struct Options {
  std::vector<std::string> models;           // paths
  std::vector<int64_t> prompts = {512};      // lengths of pp tests; 0: none
  std::vector<int64_t> generations = {128};  // lengths of tg tests; 0: none
  std::vector<int64_t> depths = {0};
  std::vector<int64_t> batches = {1};  // conversations of tg tests that decode together
  std::vector<int> threads = {0};      // 0: ThreadPool::default_threads()
  int64_t repetitions = 5;
  engine::Numerics numerics = engine::Numerics::Precise;
  bool profile = false;  // run every test once more, with times of all steps
  // Adds to each tg test one of answers with drafts; none: it does not. A text that this gives is
  // what such a test's answers follow, whatever its depth.
  MakeDrafting drafting = {};
  std::string adapter = {};  // of the models, to compute with; or empty
};

// What holds for all tests of one model with one number of threads.
struct Start {
  double load_seconds = 0;         // opening the file, compiling all methods
  double first_token_seconds = 0;  // from opening to the logits after the shortest prompt
  uint64_t peak_memory_bytes = 0;  // load and one run of every test
};

// One test of one model with one number of threads.
struct Row {
  std::string model;
  TestCase test;
  int threads = 0;
  engine::Numerics numerics = engine::Numerics::Precise;
  std::vector<double> samples;  // tokens per second, one for each repetition; empty when skipped
  std::string skipped;          // why; empty when it is not
  // Of memory (weights, keys and values) and of linears, two operations for a multiply-add.
  double bytes_per_token = 0, operations_per_token = 0;
  // What bounds the test: bytes (decode) or operations (prefill) per second, the median of
  // measurements between the repetitions.
  double limit = 0;
  std::string limit_is;  // kMemoryReadLimit …
  Start start;
  std::optional<Profile> profile;
  std::optional<Drafts> drafts;  // of a test with drafts that was measured

  // Median of the tokens per second with drafts by those without.
  double speedup() const { return statistics().median / summarise(drafts->plain).median; }
  Statistics statistics() const { return summarise(samples); }  // of a row that has samples
  double bytes_per_second() const { return statistics().median * bytes_per_token; }
  double operations_per_second() const { return statistics().median * operations_per_token; }
  double percent_of_limit() const {
    return 100 * (test.is_decode() ? bytes_per_second() : operations_per_second()) / limit;
  }
};

struct Report {
  std::string machine;  // the CPU's model name
  std::vector<Row> rows;
  bool interrupted = false;  // then rows hold what was measured before
  Trace trace;               // of the profiled runs
};

// Runs all tests of all models, for each number of threads. Each model is opened anew for each
// number of threads; each test runs once untimed before any is measured. Progress counts
// repetitions; when it is cancelled the measuring ends early.
Result<Report> run(const Options& options, Progress& progress);

}  // namespace diptych::measure
