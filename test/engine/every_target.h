// Runs each test of a suite on every instruction set that this machine has:
//
//   class VectorOps : public EveryTarget {};
//   INSTANTIATE_TEST_SUITE_P(Targets, VectorOps, every_target(), target_name);
//   TEST_P(VectorOps, ...)
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <string>
#include <vector>

namespace diptych::engine {

class EveryTarget : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { select(GetParam()); }
  void TearDown() override { select(0); }

 private:
  static void select(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

inline auto every_target() {
  std::vector<int64_t> all;
  for (int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    all.push_back(left & -left);
  }
  return ::testing::ValuesIn(all);
}

inline std::string target_name(const ::testing::TestParamInfo<int64_t>& target) {
  return hwy::TargetName(target.param);
}

}  // namespace diptych::engine
