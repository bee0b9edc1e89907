#include "judge.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/utf8.h"
#include "hostile.h"

namespace diptych::fuzz {

namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestLine = 1000;
constexpr size_t kMostItems = 21;  // 20 and "and N more"
constexpr size_t kMostOutput = 32 << 20;

// One line, made printable.
std::string excerpt(std::string_view text) {
  std::string line;
  for (const char c : text.substr(0, 240)) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte > 0x7e ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return line;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string check_characters(std::string_view text, std::string_view where) {
  if (text.size() > kMostOutput) return fmt::format("{}: more than {} bytes", where, kMostOutput);
  for (const std::string_view line : lines_of(text)) {
    if (!is_valid_utf8(line)) return fmt::format("{}: not UTF-8: {}", where, excerpt(line));
    for (size_t i = 0; i < line.size(); ++i) {
      const auto byte = static_cast<unsigned char>(line[i]);
      const bool c1 = byte == 0xC2 && static_cast<unsigned char>(line[i + 1]) < 0xA0;
      if ((byte < 0x20 && byte != '\t') || byte == 0x7F || c1) {
        return fmt::format("{}: control character: {}", where, excerpt(line));
      }
    }
  }
  return {};
}

bool is_item(std::string_view line) { return line.starts_with("  "); }

// Whether a message says one place twice: "m.pte: m.pte: …".
bool repeats_itself(std::string_view line) {
  std::string_view before;
  while (!line.empty()) {
    const size_t end = std::min(line.find(": "), line.size());
    if (end > 1 && line.substr(0, end) == before) return true;
    before = line.substr(0, end);
    line.remove_prefix(std::min(end + 2, line.size()));
  }
  return false;
}

// Standard error of a command that failed: one line that begins with "diptych", at most twenty
// indented items, and warnings. A conversation tells its news in the same form.
std::string check_message(std::string_view text, bool is_chat) {
  size_t errors = 0, items = 0;
  std::string_view last;
  for (const std::string_view line : lines_of(text)) {
    if (is_item(line)) {
      ++items;
      continue;
    }
    if (line.starts_with("warning: ") || line.starts_with("note: ")) continue;
    if (!line.starts_with("diptych")) {
      return fmt::format("stderr: a line that is neither error nor warning: {}", excerpt(line));
    }
    if (repeats_itself(line)) return fmt::format("stderr: says a place twice: {}", excerpt(line));
    last = line;
    ++errors;
  }
  if (errors == 0) return "fails without a message";
  if (errors > 1 && !is_chat) return fmt::format("stderr: {} errors", errors);
  if (items > kMostItems) return fmt::format("stderr: a list of {} items", items);
  if (last.find("std::") != last.npos) return fmt::format("stderr: {}", excerpt(last));
  return {};
}

// All there is below a directory, by relative path; directories with a slash at their end.
std::set<std::string> list(const fs::path& directory) {
  std::set<std::string> names;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(directory, error);
       it != fs::recursive_directory_iterator(); it.increment(error)) {
    const std::string name = fs::relative(it->path(), directory, error).string();
    names.insert(it->is_directory(error) && !it->is_symlink(error) ? name + "/" : name);
    if (error) break;
  }
  return names;
}

bool is_within(std::string_view name, std::string_view output) {
  return name == output || (name.starts_with(output) && name[output.size()] == '/');
}

std::string check_files(const fs::path& directory, const Files& files, const Command& command,
                        bool succeeded) {
  struct stat unused {};
  if (lstat(kAbsolutePath, &unused) == 0) {
    std::error_code ignored;
    fs::remove_all(kAbsolutePath, ignored);
    return fmt::format("{} was written", kAbsolutePath);
  }
  const auto is_output = [&](std::string_view name) {
    return std::any_of(command.outputs.begin(), command.outputs.end(),
                       [&](const std::string& output) { return is_within(name, output); });
  };
  std::set<std::string> expected;
  for (const auto& [name, bytes] : files) {
    for (size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
      expected.insert(name.substr(0, slash + 1));
    }
    expected.insert(name);
    if (succeeded && is_output(name)) continue;
    std::string now;
    if (!read_file(directory / name, &now)) return fmt::format("the input {} is gone", name);
    if (now != bytes) return fmt::format("the input {} was changed", name);
  }
  for (const std::string& name : list(directory)) {
    if (expected.contains(name)) continue;
    if (!is_output(name)) return fmt::format("a file that nobody asked for: {}", excerpt(name));
    if (!succeeded) return fmt::format("failed, but left {}", excerpt(name));
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(directory.parent_path())) {
    if (entry.path() != directory) {
      const std::string name = entry.path().filename();
      std::error_code ignored;
      fs::remove_all(entry.path(), ignored);
      return fmt::format("a file outside of the directory: {}", excerpt(name));
    }
  }
  return {};
}

std::string check_outcome(const Outcome& outcome, const Command& command, const Limits& limits) {
  if (outcome.timed_out) {
    return fmt::format("took too long: {:.1f} s, {:.1f} s of processor time, {} MiB; stderr: {}",
                       outcome.wall_seconds, outcome.cpu_seconds, outcome.peak_bytes >> 20,
                       excerpt(outcome.err));
  }
  if (outcome.signal != 0) {
    return fmt::format("ended by signal {} ({}); stderr: {}", outcome.signal,
                       strsignal(outcome.signal), excerpt(outcome.err));
  }
  if (outcome.status > 2) {
    return fmt::format("exit status {}; stderr: {}", outcome.status, excerpt(outcome.err));
  }
  if (limits.peak_bytes > 0 && outcome.peak_bytes > limits.peak_bytes) {
    return fmt::format("took {} MiB of memory; stderr: {}", outcome.peak_bytes >> 20,
                       excerpt(outcome.err));
  }
  if (command.must_succeed && outcome.status != 0) {
    return fmt::format("fails on a good file: {}", excerpt(outcome.err));
  }
  if (command.must_fail && outcome.status == 0) return "was not refused";
  if (std::string why = check_characters(outcome.err, "stderr"); !why.empty()) return why;
  for (const std::string_view line : lines_of(outcome.err)) {
    if (line.size() > kLongestLine) {
      return fmt::format("stderr: a line of {} bytes: {}", line.size(), excerpt(line));
    }
  }
  if (outcome.status != 0) {
    if (std::string why = check_message(outcome.err, command.words[0] == "chat"); !why.empty())
      return why;
  }
  return command.prints_text ? "" : check_characters(outcome.out, "stdout");
}

bool succeeds(const Command::Words& words, const Runner& runner, const std::string& directory) {
  const Outcome outcome = runner.run(words, directory, "");
  return outcome.signal == 0 && outcome.status == 0;
}

// What a command wrote must be readable by the others.
std::string check_outputs(const std::string& diptych, const Runner& runner,
                          const std::string& directory, const Command& command) {
  for (const std::string& output : command.outputs) {
    if (!fs::exists(fs::path(directory) / output)) return "succeeded without " + output;
    if (!output.ends_with(".pte")) continue;
    std::vector<Command::Words> readers = {{diptych, "inspect", output}};
    if (command.is_export) {
      readers.push_back({diptych, "run", output, "--ids", "1", "-n", "1", "--print_ids", "--stats",
                         "none", "--threads", "1"});
    }
    for (const Command::Words& words : readers) {
      const Outcome outcome = runner.run(words, directory, "");
      if (outcome.signal != 0 || outcome.status != 0) {
        return fmt::format("succeeded, but its output does not {}: {}", words[1],
                           outcome.signal != 0 ? "end by exit" : excerpt(outcome.err));
      }
    }
  }
  return {};
}

}  // namespace

Verdict try_command(const std::string& diptych, const Runner& runner, const std::string& place,
                    const Files& files, const Command& command) {
  const fs::path directory = fs::path(place) / "case";
  fs::create_directories(directory);
  for (const auto& [name, bytes] : files) {
    fs::create_directories((directory / name).parent_path());
    write_file(directory / name, bytes);
  }
  // What an edit copies is as good or bad as before.
  const bool outputs_are_good =
      command.edits.empty() || succeeds({diptych, "inspect", command.edits}, runner, directory);
  Command::Words words = command.line();
  words.insert(words.begin(), diptych);
  const Outcome outcome = runner.run(words, directory, command.input);
  const bool succeeded = outcome.signal == 0 && outcome.status == 0;
  // What was lost says more than how.
  std::string why = check_files(directory, files, command, succeeded);
  if (why.empty() || outcome.timed_out) why = check_outcome(outcome, command, runner.limits());
  if (why.empty() && succeeded && outputs_are_good) {
    why = check_outputs(diptych, runner, directory, command);
  }
  fs::remove_all(place);
  return {std::move(why), succeeded};
}

std::string sort_of(std::string_view why) {
  constexpr size_t kLongest = 80;
  std::string sort;
  char quote = 0;
  for (size_t i = 0; i < why.size() && sort.size() < kLongest; ++i) {
    const char c = why[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"') {
      quote = c;
      sort += c;
    } else if (why.substr(i).starts_with("\\x")) {
      i += 3;
    } else if (std::isdigit(static_cast<unsigned char>(c)) == 0) {
      sort += c;
    } else if (sort.empty() || sort.back() != '#') {
      sort += '#';
    }
  }
  return sort;
}

}  // namespace diptych::fuzz
