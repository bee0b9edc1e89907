#include "process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "models.h"

namespace diptych::fuzz {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

pid_t spawn(const std::vector<std::string>& words, const std::string& directory,
            const std::string& scratch) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, 0, (scratch + "/in").c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, (scratch + "/out").c_str(), kWrite, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, (scratch + "/err").c_str(), kWrite, 0600);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (posix_spawn(&pid, words[0].c_str(), &actions, nullptr, arguments.data(), environ) != 0) {
    std::fprintf(stderr, "cannot run %s\n", words[0].c_str());
    std::exit(2);
  }
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

void limit(pid_t pid, __rlimit_resource resource, uint64_t value) {
  const rlimit both{value, value};
  prlimit(pid, resource, &both, nullptr);
}

}  // namespace

Outcome Runner::run(const std::vector<std::string>& words, const std::string& directory,
                    const std::string& input) const {
  write_file(scratch_ + "/in", input);
  Outcome outcome;
  const auto start = Clock::now();
  const pid_t pid = spawn(words, directory, scratch_);
  // Set from here, microseconds late, so that starting a process stays cheap.
  limit(pid, RLIMIT_CORE, 0);
  limit(pid, RLIMIT_CPU, static_cast<uint64_t>(limits_.cpu_seconds + 0.999));
  limit(pid, RLIMIT_FSIZE, limits_.file_bytes);
  // Address space guards the machine alone; what counts is the resident peak.
  if (limits_.peak_bytes > 0) limit(pid, RLIMIT_AS, 4 * limits_.peak_bytes);
  int status = 0;
  rusage usage{};
  while (wait4(pid, &status, WNOHANG, &usage) == 0) {
    const double waited = seconds_since(start);
    if (!outcome.timed_out && waited > limits_.wall_seconds) {
      outcome.timed_out = true;
      kill(pid, SIGKILL);
    }
    usleep(waited < 0.02 ? 200 : 2000);
  }
  outcome.wall_seconds = seconds_since(start);
  outcome.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  // Counts from the memory of this process, which must keep well below the limit.
  outcome.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) << 10;
  if (WIFSIGNALED(status)) {
    outcome.signal = WTERMSIG(status);
    // The kernel's way to say that the limit of processor time is reached.
    if (outcome.cpu_seconds >= limits_.cpu_seconds) outcome.timed_out = true;
  } else {
    outcome.status = WEXITSTATUS(status);
  }
  read_file(scratch_ + "/out", &outcome.out);
  read_file(scratch_ + "/err", &outcome.err);
  return outcome;
}

}  // namespace diptych::fuzz
