#include "runtime/needed_calls.h"

#include <gtest/gtest.h>

namespace diptych::runtime {
namespace {

using Flags = std::vector<bool>;

// Embedding, layers and head: values 0 and 1 are inputs, 4 the logits, 5 the new keys.
const std::vector<CallValues> kChain = {{{0}, {2}}, {{1, 2}, {3, 5}}, {{3}, {4}}};

Flags needed_for(const std::vector<CallValues>& calls, std::vector<size_t> wanted) {
  Flags values(6), needed;
  for (const size_t value : wanted) values[value] = true;
  mark_needed(calls, values, needed);
  return needed;
}

TEST(NeededCalls, ThoseThatWantedValuesComeFrom) {
  EXPECT_EQ(needed_for(kChain, {4, 5}), (Flags{true, true, true}));
  EXPECT_EQ(needed_for(kChain, {4}), (Flags{true, true, true}));
  EXPECT_EQ(needed_for(kChain, {5}), (Flags{true, true, false}));
  EXPECT_EQ(needed_for(kChain, {2}), (Flags{true, false, false}));
  EXPECT_EQ(needed_for(kChain, {0}), (Flags{false, false, false}));  // an input handed through
}

// What is written twice may be so in parts.
TEST(NeededCalls, AllThatWriteAValue) {
  const std::vector<CallValues> twice = {{{0}, {2}}, {{1}, {2}}, {{2}, {3}}};
  EXPECT_EQ(needed_for(twice, {3}), (Flags{true, true, true}));
}

TEST(NeededCalls, MarksTheValuesTheyRead) {
  Flags values(6), needed;
  values[5] = true;
  mark_needed(kChain, values, needed);
  EXPECT_EQ(values, (Flags{true, true, true, false, false, true}));
}

}  // namespace
}  // namespace diptych::runtime
