// Drives diptych's commands with damaged files and checks what is promised for all of them: an end
// by exit within limits of time and memory, one clear line when it fails, inputs untouched, outputs
// whole or absent. See --help.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "judge.h"
#include "kind.h"

namespace diptych::fuzz {

namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp =
    "Usage: fuzz_commands DIPTYCH [--count N] [--seconds S] [--seed N] [--kind NAME[,NAME...]]\n"
    "                     [--jobs N] [--keep DIR] [--only NUMBER] [--limits MIB,CPU,WALL]\n"
    "\n"
    "Makes --count inputs (1000), or as many as --seconds allow, and runs a command on each. "
    "Input\n"
    "NUMBER of a seed is always the same; --only tries that one alone. Every sort of failure is\n"
    "made smaller and kept in a directory of its own below --keep, with cmd and why. Limits are\n"
    "MiB of memory (0: none), seconds of processor time and of time. Status 1 when a command "
    "failed.\n";

struct Options {
  std::string diptych, keep;
  uint64_t count = 1000, seed = 1;
  double seconds = 0;
  std::vector<std::string> kinds;
  size_t jobs = std::max(1u, std::thread::hardware_concurrency());
  int64_t only = -1;
  Limits limits;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

[[noreturn]] void usage(int status) {
  std::fputs(kHelp, status == 0 ? stdout : stderr);
  std::exit(status);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help") usage(0);
    if (!name.starts_with("--")) {
      options.diptych = fs::absolute(name);
      continue;
    }
    if (++i == argc) usage(2);
    const std::string value = argv[i];
    const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "--count") {
      options.count = number;
    } else if (name == "--seed") {
      options.seed = number;
    } else if (name == "--seconds") {
      options.seconds = std::atof(value.c_str());
    } else if (name == "--kind") {
      options.kinds = split(value);
    } else if (name == "--jobs") {
      options.jobs = std::max<size_t>(1, number);
    } else if (name == "--keep") {
      options.keep = value;
    } else if (name == "--only") {
      options.only = static_cast<int64_t>(number);
    } else if (name == "--limits") {
      const auto parts = split(value);
      if (parts.size() != 3) usage(2);
      options.limits.peak_bytes = std::strtoull(parts[0].c_str(), nullptr, 10) << 20;
      options.limits.cpu_seconds = std::atof(parts[1].c_str());
      options.limits.wall_seconds = std::atof(parts[2].c_str());
    } else {
      usage(2);
    }
  }
  if (options.diptych.empty()) usage(2);
  return options;
}

Kinds all_kinds(const Models& models) {
  Kinds kinds;
  for (const auto make : {safetensors_kind, gguf_kind, config_kind, torch_kind, tokenizer_json_kind,
                          tokenizer_model_kind, template_kind, transcript_kind, pte_kind,
                          delegate_kind, memory_fs_kind, outputs_kind, predict_kind}) {
    kinds.push_back(make(models));
  }
  return kinds;
}

// Indices of the kinds of these names; of all when there is no name.
std::vector<size_t> select(const Kinds& kinds, const std::vector<std::string>& names) {
  std::vector<size_t> selected;
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (names.empty() || std::find(names.begin(), names.end(), kinds[i]->name()) != names.end()) {
      selected.push_back(i);
    }
  }
  if (selected.empty()) usage(2);
  return selected;
}

// What an input is made of; each part draws from a seed of its own, so that parts can be left out.
struct Case {
  const Kind* kind = nullptr;
  uint64_t seed = 0;
  std::vector<uint64_t> mutations;
  Files files;
  Command command;

  void make_files() {
    Random random(seed);
    files = kind->seed(random);
    for (const uint64_t mutation : mutations) {
      Random own(mutation);
      kind->mutate(files, own);
    }
  }
};

// A few of each kind are not mutated: their commands must succeed.
constexpr uint64_t kIntact = 8;

Case make_case(const Kinds& kinds, uint64_t seed, uint64_t number) {
  Random random(seed * 0x9E3779B97F4A7C15ull + number);
  Case made;
  made.kind = kinds[number % kinds.size()].get();
  made.seed = random.next();
  if (number / kinds.size() >= kIntact) {
    do {
      made.mutations.push_back(random.next());
    } while (made.mutations.size() < 6 && random.one_in(2));
  }
  made.make_files();
  made.command = made.kind->command(made.files, random);
  made.command.must_succeed = made.mutations.empty() && !made.command.must_fail;
  return made;
}

std::string shell_quoted(const std::string& word) {
  if (!word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789-_=./,:") == std::string::npos) {
    return word;
  }
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') quoted += "'\\'";
    quoted += c;
  }
  quoted += '\'';
  return quoted;
}

class Fuzzer {
 public:
  Fuzzer(Options options, std::string directory)
      : options_(std::move(options)),
        directory_(std::move(directory)),
        models_(make_models(options_.diptych, directory_ + "/models")),
        kinds_(all_kinds(models_)),
        selected_(select(kinds_, options_.kinds)),
        accepted_(kinds_.size()) {}

  bool run() {
    const auto start = std::chrono::steady_clock::now();
    const auto seconds = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const bool only_one = options_.only >= 0;
    const uint64_t end = only_one ? 1 : options_.count;
    std::atomic<uint64_t> next = 0, done = 0;
    std::printf("seed %llu\n", static_cast<unsigned long long>(options_.seed));
    std::fflush(stdout);
    const auto work = [&](size_t worker) {
      const std::string place = fmt::format("{}/{}", directory_, worker);
      fs::create_directories(place + "/scratch");
      const Runner runner(place + "/scratch", options_.limits);
      while (options_.seconds == 0 || seconds() < options_.seconds) {
        const uint64_t i = next++;
        if (i >= end) return;
        const uint64_t number = only_one ? static_cast<uint64_t>(options_.only) : number_of(i);
        try_number(number, runner, place + "/place");
        ++done;
      }
    };
    std::vector<std::thread> threads;
    for (size_t i = 0; i < options_.jobs; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
    report(done, seconds());
    return failures_.empty();
  }

 private:
  struct Failure {
    uint64_t number = 0, times = 0;
    std::string why, cmd;
  };

  // The same input has the same number whatever kinds are selected.
  uint64_t number_of(uint64_t i) const {
    return i / selected_.size() * kinds_.size() + selected_[i % selected_.size()];
  }

  Verdict judge(const Case& tried, const Runner& runner, const std::string& place) const {
    return try_command(options_.diptych, runner, place, tried.files, tried.command);
  }

  void try_number(uint64_t number, const Runner& runner, const std::string& place) {
    Case tried = make_case(kinds_, options_.seed, number);
    Verdict verdict = judge(tried, runner, place);
    // What depends on the time that a busy machine takes must happen twice.
    if (verdict.why.starts_with("took too long")) verdict = judge(tried, runner, place);
    const std::string& why = verdict.why;
    accepted_[number % kinds_.size()] += verdict.succeeded ? 1 : 0;
    if (why.empty()) return;
    const std::string sort =
        fmt::format("{}: {}: {}", tried.kind->name(), tried.command.words[0], sort_of(why));
    {
      const std::lock_guard lock(mutex_);
      Failure& failure = failures_[sort];
      if (failure.times++ > 0) return;
      failure.number = number;
      failure.why = why;
    }
    minimise(tried, sort_of(why), runner, place);
    const std::string line = command_line(tried);
    keep(tried, number, why, line);
    const std::lock_guard lock(mutex_);
    failures_[sort].cmd = line;
  }

  // Leaves out mutations, options and files as long as the failure stays of its sort.
  void minimise(Case& failed, const std::string& sort, const Runner& runner,
                const std::string& place) const {
    const auto still_fails = [&](const Case& smaller) {
      return sort_of(judge(smaller, runner, place).why) == sort;
    };
    for (size_t i = failed.mutations.size(); i-- > 0;) {
      Case smaller = failed;
      smaller.mutations.erase(smaller.mutations.begin() + static_cast<std::ptrdiff_t>(i));
      smaller.make_files();
      if (still_fails(smaller)) failed = std::move(smaller);
    }
    for (size_t i = failed.command.options.size(); i-- > 0;) {
      Case smaller = failed;
      auto& options = smaller.command.options;
      options.erase(options.begin() + static_cast<std::ptrdiff_t>(i));
      if (still_fails(smaller)) failed = std::move(smaller);
    }
    const Files files = failed.files;
    for (const auto& [name, bytes] : files) {
      Case smaller = failed;
      smaller.files.erase(name);
      if (still_fails(smaller)) failed = std::move(smaller);
    }
  }

  static std::string command_line(const Case& failed) {
    std::string line = "diptych";
    for (const std::string& word : failed.command.line())
      line += fmt::format(" {}", shell_quoted(word));
    if (!failed.command.input.empty()) line += " <stdin";
    return line;
  }

  void keep(const Case& failed, uint64_t number, const std::string& why,
            const std::string& line) const {
    if (options_.keep.empty()) return;
    const fs::path at = fs::path(options_.keep) /
                        fmt::format("{}-{}-{}", failed.kind->name(), options_.seed, number);
    for (const auto& [name, bytes] : failed.files) {
      fs::create_directories((at / name).parent_path());
      write_file(at / name, bytes);
    }
    fs::create_directories(at);
    write_file(at / "cmd", line + "\n");
    write_file(at / "why", why + "\n");
    if (!failed.command.input.empty()) write_file(at / "stdin", failed.command.input);
  }

  void report(uint64_t done, double seconds) const {
    std::vector<std::pair<uint64_t, const Failure*>> failures;
    for (const auto& [sort, failure] : failures_) failures.emplace_back(failure.number, &failure);
    std::sort(failures.begin(), failures.end());
    for (const auto& [number, failure] : failures) {
      fmt::print("input {} (and {} like it): {}\n  {}\n", number, failure->times - 1, failure->why,
                 failure->cmd.substr(0, 300));
    }
    std::string accepted;
    for (const size_t kind : selected_) {
      accepted += fmt::format(" {} {}", kinds_[kind]->name(), accepted_[kind].load());
    }
    fmt::print("accepted:{}\n", accepted);
    fmt::print("seed {}: {} inputs of {} kinds in {:.0f} s, {} sorts of failures{}\n",
               options_.seed, done, selected_.size(), seconds, failures.size(),
               failures.empty() || options_.keep.empty() ? "" : ", kept in " + options_.keep);
  }

  const Options options_;
  const std::string directory_;
  const Models models_;
  const Kinds kinds_;
  const std::vector<size_t> selected_;
  std::vector<std::atomic<uint64_t>> accepted_;  // inputs of each kind that commands took
  std::mutex mutex_;
  std::map<std::string, Failure> failures_;
};

}  // namespace

}  // namespace diptych::fuzz

int main(int argc, char** argv) {
  using namespace diptych::fuzz;
  const Options options = parse(argc, argv);
  std::string directory = (std::filesystem::temp_directory_path() / "diptych-fuzz-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 2;
  const bool good = Fuzzer(options, directory).run();
  std::filesystem::remove_all(directory);
  return good ? 0 : 1;
}
