// What is measured: prompts of some length, or tokens decoded one by one, at some depth, of one
// conversation or of several at once. Named as llama-bench does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "contract/reader.h"

namespace diptych::measure {

struct TestCase {
  enum class Kind : uint8_t { Prefill, Decode };

  Kind kind = Kind::Prefill;
  int64_t tokens = 0;    // evaluated in one repetition
  int64_t depth = 0;     // in the cache before
  int64_t batch = 1;     // conversations that decode together, `tokens` each
  bool drafted = false;  // an answer of so many tokens, greedy, with drafts

  bool is_decode() const { return kind == Kind::Decode; }
  std::string name() const;  // "pp512", "tg128@512", "tg128@512x4" of four, "tg128+drafts"
};

// All prompts at all depths, then all generations at all depths in all batches, each alone with
// drafts as well if these are wanted. Lengths of 0 mean no test.
std::vector<TestCase> make_tests(const std::vector<int64_t>& prompts,
                                 const std::vector<int64_t>& generations,
                                 const std::vector<int64_t>& depths,
                                 const std::vector<int64_t>& batches = {1},
                                 bool with_drafts = false);

// Why the model cannot run the test as meant; empty when it can.
std::string skip_reason(const TestCase& test, const contract::Description& model);

}  // namespace diptych::measure
