#include "measure/profile.h"

#include <algorithm>

#include "base/clock.h"

namespace diptych::measure {

namespace {

// The line that `same` accepts, or a new one like `like` without figures.
template <class Same>
ProfileLine& line_for(std::vector<ProfileLine>& lines, const ProfileLine& like, const Same& same) {
  const auto known = std::find_if(lines.begin(), lines.end(), same);
  if (known != lines.end()) return *known;
  lines.push_back({like.function, like.op, like.layer, 0, 0, 0, 0});
  return lines.back();
}

void add(const ProfileLine& line, ProfileLine& sum) {
  sum.calls += line.calls;
  sum.seconds += line.seconds;
  sum.weight_bytes += line.weight_bytes;
  sum.multiply_adds += line.multiply_adds;
}

}  // namespace

double Profile::seconds_outside() const {
  double rest = seconds;
  for (const ProfileLine& line : lines) rest -= line.seconds;
  return std::max(rest, 0.0);
}

std::vector<ProfileLine> by_op(const Profile& profile) {
  std::vector<ProfileLine> sums;
  for (const ProfileLine& line : profile.lines) {
    add(line, line_for(sums, line, [&](const ProfileLine& sum) {
          return sum.function == line.function && sum.op == line.op;
        }));
  }
  return sums;
}

std::vector<ProfileLine> by_layer(const Profile& profile) {
  std::vector<ProfileLine> sums;
  for (const ProfileLine& line : profile.lines) {
    add(line, line_for(sums, line, [&](const ProfileLine& sum) {
          return sum.function == line.function && sum.layer == line.layer;
        }));
  }
  return sums;
}

engine::StepInfo step_info(const engine::Executable& executable, size_t index) {
  if (index < executable.step_count()) return executable.step(index);
  return {"outputs", executable.name(), {}};
}

void Profiler::on_step(const engine::Executable& executable, size_t index, Time begin, Time end) {
  auto totals = std::find_if(totals_.begin(), totals_.end(),
                             [&](const Totals& t) { return t.executable == &executable; });
  if (totals == totals_.end()) {
    totals = totals_.insert(totals_.end(),
                            {&executable, std::vector<Total>(executable.step_count() + 1)});
  }
  Total& total = totals->steps[index];
  ++total.calls;
  total.time += end - begin;
  if (events_.size() < events_.capacity()) {
    events_.push_back({&executable, index, begin, end});
  } else {
    ++dropped_;
  }
}

void Profiler::clear() {
  for (Totals& totals : totals_) std::fill(totals.steps.begin(), totals.steps.end(), Total());
  events_.clear();
  dropped_ = 0;
}

Profile Profiler::profile(int64_t tokens, double seconds) const {
  Profile profile{tokens, seconds, {}};
  for (const auto& [executable, steps] : totals_) {
    for (size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].calls == 0) continue;
      const engine::StepInfo info = step_info(*executable, i);
      const ProfileLine step{executable->name(),
                             std::string(info.op),
                             info.work.layer,
                             steps[i].calls,
                             to_seconds(steps[i].time),
                             steps[i].calls * info.work.weight_bytes(),
                             steps[i].calls * info.work.multiply_adds()};
      add(step, line_for(profile.lines, step, [&](const ProfileLine& line) {
            return line.function == step.function && line.op == step.op && line.layer == step.layer;
          }));
    }
  }
  return profile;
}

}  // namespace diptych::measure
