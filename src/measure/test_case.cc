#include "measure/test_case.h"

#include <fmt/format.h>

namespace diptych::measure {

std::string TestCase::name() const {
  std::string name = fmt::format("{}{}", is_decode() ? "tg" : "pp", tokens);
  if (depth > 0) name += fmt::format("@{}", depth);
  if (batch > 1) name += fmt::format("x{}", batch);
  if (drafted) name += "+drafts";
  return name;
}

std::vector<TestCase> make_tests(const std::vector<int64_t>& prompts,
                                 const std::vector<int64_t>& generations,
                                 const std::vector<int64_t>& depths,
                                 const std::vector<int64_t>& batches, bool with_drafts) {
  std::vector<TestCase> tests;
  const auto add = [&](TestCase::Kind kind, const std::vector<int64_t>& lengths,
                       const std::vector<int64_t>& sizes) {
    for (const int64_t depth : depths) {
      for (const int64_t length : lengths) {
        for (const int64_t batch : sizes) {
          if (length > 0) tests.push_back({kind, length, depth, batch});
        }
        if (with_drafts && kind == TestCase::Kind::Decode && length > 0) {
          tests.push_back({kind, length, depth, 1, true});
        }
      }
    }
  };
  add(TestCase::Kind::Prefill, prompts, {1});
  add(TestCase::Kind::Decode, generations, batches);
  return tests;
}

std::string skip_reason(const TestCase& test, const contract::Description& model) {
  const int64_t end = test.depth + test.tokens;
  if (end > model.max_context) {
    return fmt::format("needs {} positions, the context has {}", end, model.max_context);
  }
  if (test.drafted && test.tokens < 2) return "needs two tokens or more";
  // The last tokens of a context may not fit the cache; where the decode method cannot take those
  // before it as well, each costs a call of the prefill method, which is not what tg means.
  const contract::Method& decode = model.decode().method;
  const int64_t decodable = model.cache_len() + decode.tokens;
  if (test.is_decode() && end > decodable) {
    return fmt::format("needs {} positions, method {} reaches {}", end, decode.name, decodable);
  }
  return {};
}

}  // namespace diptych::measure
