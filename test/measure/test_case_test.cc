#include "measure/test_case.h"

#include <gmock/gmock.h>

namespace diptych::measure {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kPrefill = TestCase::Kind::Prefill;
constexpr auto kDecode = TestCase::Kind::Decode;

TEST(TestCase, NamesAreThoseOfLlamaBench) {
  EXPECT_EQ((TestCase{kPrefill, 512, 0}.name()), "pp512");
  EXPECT_EQ((TestCase{kDecode, 128, 0}.name()), "tg128");
  EXPECT_EQ((TestCase{kDecode, 128, 512}.name()), "tg128@512");
  EXPECT_EQ((TestCase{kPrefill, 64, 512}.name()), "pp64@512");
  EXPECT_EQ((TestCase{kDecode, 128, 512, 4}.name()), "tg128@512x4");
}

TEST(TestCase, ListsArePairedWithDepths) {
  std::vector<std::string> names;
  for (const TestCase& test : make_tests({64, 512}, {128}, {0, 256})) names.push_back(test.name());
  EXPECT_THAT(names, ElementsAre("pp64", "pp512", "pp64@256", "pp512@256", "tg128", "tg128@256"));
  EXPECT_THAT(make_tests({0}, {0}, {0, 256}), IsEmpty());
  names.clear();
  for (const TestCase& test : make_tests({64}, {8}, {0, 16}, {1, 4})) names.push_back(test.name());
  EXPECT_THAT(names, ElementsAre("pp64", "pp64@16", "tg8", "tg8x4", "tg8@16", "tg8@16x4"));
}

// A context of 100 positions, 90 of them in the cache.
contract::Description model_of(int64_t decode_tokens) {
  contract::Description model;
  static_cast<contract::Model&>(model) = contract::uniform_model(1, 90);
  model.max_context = 100;
  for (const auto& [role, tokens] : {std::pair(contract::Role::Decode, decode_tokens),
                                     std::pair(contract::Role::Prefill, int64_t{10})}) {
    model.functions.push_back({contract::method_of(role, tokens), {}});
  }
  return model;
}

TEST(SkipReason, IsThatTheContextEnds) {
  const auto model = model_of(10);
  EXPECT_EQ(skip_reason({kPrefill, 100, 0}, model), "");
  EXPECT_EQ(skip_reason({kPrefill, 60, 40}, model), "");
  EXPECT_EQ(skip_reason({kDecode, 60, 40}, model), "");
  EXPECT_EQ(skip_reason({kPrefill, 101, 0}, model), "needs 101 positions, the context has 100");
  EXPECT_EQ(skip_reason({kPrefill, 60, 41}, model), "needs 101 positions, the context has 100");
  EXPECT_EQ(skip_reason({kDecode, 1, 100}, model), "needs 101 positions, the context has 100");
}

TEST(SkipReason, IsThatDecodingWouldNeedPrefill) {
  const auto model = model_of(1);
  EXPECT_EQ(skip_reason({kDecode, 11, 80}, model), "");
  EXPECT_EQ(skip_reason({kDecode, 12, 80}, model), "needs 92 positions, method forward reaches 91");
  EXPECT_EQ(skip_reason({kPrefill, 20, 80}, model), "");
}

}  // namespace
}  // namespace diptych::measure
