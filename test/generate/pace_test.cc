// What speculation costs at worst and gains at best, on a machine whose times the test makes.
#include "generate/pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>

#include "generate/call_cost.h"

namespace diptych::generate {
namespace {

TEST(Pace, DraftsWhatPays) {
  const auto cheap = [](int64_t drafted) { return 1 + 0.05 * static_cast<double>(drafted); };
  Pace pace({0.6});
  EXPECT_EQ(pace.length(0, 8, cheap), 0);  // it does not know yet what decoding takes
  pace.add_plain(1);
  pace.add_plain(1);
  EXPECT_GT(pace.length(0, 8, cheap), 0);
  for (int i = 0; i < 20; ++i) {
    pace.add_step(1.4, 9);
    pace.add_draft(0, 8, 8);
  }
  EXPECT_EQ(pace.length(0, 8, cheap), 8);
  EXPECT_TRUE(pace.worth(2, 1.5));
  EXPECT_FALSE(pace.worth(2, 1.9));
  EXPECT_FALSE(pace.worth(2, 2.5));
}

// --- A machine ---

// Part of the drafted tokens that are right, where so many tokens have been generated.
using Acceptance = std::function<double(int64_t generated)>;

// Seconds are those of a step of decoding.
struct Machine {
  std::string name;
  double verify_call, verify_row;
  double predicted = 1;   // of a call that verifies, before it was measured
  double drafted = 0;     // of a drafted token; drafts that take none are judged unseen
  double followed = 0;    // of a token that came without a draft, with the next one
  double scatter = 0;     // of times: the deviation of their logarithm
  double disturbed = 0;   // part of the calls that take three times as long
  double later_half = 1;  // of the time of all calls, after half of the tokens
};

// What `tokens` tokens took beside plain decoding.
double relative_time(const Machine& machine, const Acceptance& acceptance, int64_t tokens,
                     uint32_t seed = 1) {
  constexpr int64_t kMost = 15;
  std::mt19937 random(seed);
  const auto chance = [&] { return std::uniform_real_distribution<double>(0, 1)(random); };
  const auto disturbed = [&](double seconds) {
    const double exponent = std::normal_distribution<double>(0, 1)(random) * machine.scatter -
                            machine.scatter * machine.scatter / 2;
    return seconds * std::exp(exponent) * (chance() < machine.disturbed ? 3 : 1);
  };
  const double mean = 1 + 2 * machine.disturbed;
  const bool free = machine.drafted == 0;
  Pace pace({0.5, 0.8});
  CallCosts costs;
  costs.add_function({0.9, 0.1, 0, 0});
  costs.add_function(
      {machine.verify_call * machine.predicted, machine.verify_row * machine.predicted, 0, 0});
  double time = 0, plain_time = 0, undrafted = 0;
  for (int64_t generated = 0; generated < tokens;) {
    const double speed = generated < tokens / 2 ? 1 : machine.later_half;
    const auto kind = static_cast<size_t>(free && chance() < 0.5);
    const bool proposes = !free || chance() < 0.7;
    int64_t right = 0;
    while (right < kMost && chance() < acceptance(generated)) ++right;
    const auto drafting = [&](int64_t drafted) {
      return machine.drafted * static_cast<double>(drafted) + machine.followed * undrafted;
    };
    const auto seconds = [&](int64_t drafted) {
      return costs.cost(1).seconds(drafted + 1, true) + drafting(drafted);
    };
    const int64_t drafted = proposes ? pace.length(kind, kMost, seconds) : 0;
    int64_t given = 1;
    if (drafted == 0) {
      const double took = disturbed(speed);
      time += took;
      costs.add(0, 1, true, took);
      pace.add_plain(took);
      if (!free) pace.forget();
      ++undrafted;
      if (free && proposes) pace.add_draft(kind, kMost, right);
    } else {
      const double verified = disturbed(
          speed * (machine.verify_call + machine.verify_row * static_cast<double>(drafted + 1)));
      const double took = verified + speed * drafting(drafted);
      time += took;
      undrafted = 0;
      costs.add(1, drafted + 1, true, verified);
      given += std::min(drafted, right);
      pace.add_step(took, given);
      pace.add_draft(kind, drafted, std::min(drafted, right));
    }
    for (; given > 0 && generated < tokens; --given, ++generated) {
      plain_time += generated < tokens / 2 ? mean : mean * machine.later_half;
    }
  }
  return time / plain_time;
}

// Verifying takes hardly more than decoding where memory bounds both, much more where arithmetic
// does.
const Machine kMachines[] = {{"memory", 1, 0.05},
                             {"both", 0.9, 0.15},
                             {"arithmetic", 0.7, 0.35},
                             {"overrated", 0.8, 0.3, 0.6},
                             {"underrated", 0.9, 0.15, 1.5},
                             {"draft model", 1, 0.05, 1, 0.15, 0.02},
                             {"dear draft model", 0.8, 0.3, 1, 0.4, 0.1},
                             {"becomes slow", 0.9, 0.15, 1, 0, 0, 0, 0, 2},
                             {"becomes fast", 0.9, 0.15, 1, 0, 0, 0, 0, 0.5}};

Acceptance always(double part) {
  return [part](int64_t) { return part; };
}
Acceptance changes(double before, double after, int64_t at) {
  return [=](int64_t generated) { return generated < at ? before : after; };
}
Acceptance in_turns(double one, double other, int64_t length) {
  return [=](int64_t generated) { return generated / length % 2 == 0 ? one : other; };
}

TEST(Pace, NeverLosesMoreThanThreePercent) {
  const std::pair<const char*, Acceptance> texts[] = {
      {"never right", always(0)},
      {"rarely right", always(0.2)},
      {"sometimes right", always(0.35)},
      {"right as often as not", always(0.5)},
      {"ends to be right", changes(0.95, 0, 64)},
      {"begins to be right", changes(0, 0.95, 64)},
      {"right for 8 tokens, wrong for 8", in_turns(1, 0, 8)},
      {"right for 40 tokens, wrong for 40", in_turns(0.95, 0, 40)}};
  for (const Machine& machine : kMachines) {
    for (const auto& [text, acceptance] : texts) {
      for (const int64_t tokens : {128, 400, 2000}) {
        for (uint32_t seed = 0; seed < 20; ++seed) {
          EXPECT_LE(relative_time(machine, acceptance, tokens, seed), 1.03)
              << machine.name << ", " << text << ", " << tokens << " tokens, seed " << seed;
        }
      }
    }
  }
}

// Times that scatter must not pass for gains: on average of many answers it holds all the same.
TEST(Pace, LosesNoMoreWhereTimesScatter) {
  for (Machine machine : kMachines) {
    machine.scatter = 0.2;
    machine.disturbed = 0.02;
    for (const double part : {0.0, 0.2, 0.35, 0.5}) {
      double sum = 0;
      constexpr uint32_t kAnswers = 60;
      for (uint32_t seed = 0; seed < kAnswers; ++seed) {
        sum += relative_time(machine, always(part), 1000, seed);
      }
      EXPECT_LE(sum / kAnswers, 1.03) << machine.name << ", " << part;
    }
  }
}

TEST(Pace, GainsWhereDraftsAreRight) {
  for (const Machine& machine : kMachines) {
    if (machine.drafted > 0.2) continue;
    EXPECT_LE(relative_time(machine, always(0.95), 400), 0.7) << machine.name;
    // A model that was wrong for long has all of that to evaluate before it drafts again.
    if (machine.drafted > 0) continue;
    EXPECT_LE(relative_time(machine, changes(0, 0.95, 400), 1200), 0.85) << machine.name;
  }
  EXPECT_LE(relative_time(kMachines[0], always(0.95), 400), 0.35);
}

}  // namespace
}  // namespace diptych::generate
