// Runs a command under limits and waits for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diptych::fuzz {

struct Limits {
  double wall_seconds = 20, cpu_seconds = 5;
  // Resident; 0: none. Templates may take 512 MiB by their own limit.
  uint64_t peak_bytes = uint64_t{768} << 20;
  uint64_t file_bytes = uint64_t{256} << 20;  // of each file that it writes
};

struct Outcome {
  int status = 0;  // when it ended by exit
  int signal = 0;  // else
  bool timed_out = false;
  double wall_seconds = 0, cpu_seconds = 0;
  uint64_t peak_bytes = 0;
  std::string out, err;
};

// What runs in one place at a time: a directory for standard input, output and error.
class Runner {
 public:
  Runner(std::string scratch, Limits limits) : scratch_(std::move(scratch)), limits_(limits) {}

  // `words` is the program, a path, and its arguments.
  Outcome run(const std::vector<std::string>& words, const std::string& directory,
              const std::string& input) const;
  const Limits& limits() const { return limits_; }

 private:
  std::string scratch_;
  Limits limits_;
};

}  // namespace diptych::fuzz
