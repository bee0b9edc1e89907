// Runs golden text tests: files that hold commands and what they print.
//
//   $ diptych inspect "$SRC/demo/demo.pte"     a command, run by sh in a directory of the test's
//   own expected output                            stdout and stderr together [exit 1] when the
//   status is not 0
//
// Lines before the first command are a comment. $SRC is the repository. `golden_runner --rebase
// FILE...` writes the files anew from what the commands print now; read the difference before you
// commit it.

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Step {
  std::string command;
  std::string expected;
};

struct GoldenFile {
  std::string comment;
  std::vector<Step> steps;
};

GoldenFile parse(const std::string& path) {
  std::ifstream in(path);
  GoldenFile file;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("$ ", 0) == 0) {
      file.steps.push_back({line.substr(2), ""});
    } else {
      (file.steps.empty() ? file.comment : file.steps.back().expected) += line + "\n";
    }
  }
  return file;
}

std::string run(const std::string& command) {
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "r");
  if (pipe == nullptr) return "cannot run the command\n";
  std::string output;
  char buffer[4096];
  size_t n = 0;
  while ((n = fread(buffer, 1, sizeof buffer, pipe)) > 0) output.append(buffer, n);
  const int status = pclose(pipe);
  if (!output.empty() && output.back() != '\n') output += '\n';
  if (!WIFEXITED(status)) return output + "[killed]\n";
  if (WEXITSTATUS(status) != 0) output += "[exit " + std::to_string(WEXITSTATUS(status)) + "]\n";
  return output;
}

// Prints both texts where they differ first.
void report(const std::string& path, const Step& step, const std::string& found) {
  std::istringstream expected_lines(step.expected), found_lines(found);
  std::string expected_line, found_line;
  int line = 0;
  for (;;) {
    const bool has_expected = static_cast<bool>(std::getline(expected_lines, expected_line));
    const bool has_found = static_cast<bool>(std::getline(found_lines, found_line));
    ++line;
    if (!has_expected && !has_found) break;
    if (has_expected != has_found || expected_line != found_line) {
      std::cout << path << ": $ " << step.command << "\n  output line " << line
                << "\n  expected: " << (has_expected ? expected_line : "(end)")
                << "\n  found:    " << (has_found ? found_line : "(end)") << "\n";
      return;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool rebase = false, failed = false;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--rebase") {
      rebase = true;
    } else {
      paths.push_back(fs::absolute(argv[i]));
    }
  }
  setenv("SRC", DIPTYCH_SOURCE_DIR, 1);
  setenv("LC_ALL", "C", 1);
  setenv("PATH", (std::string(DIPTYCH_BIN_DIR) + ":" + getenv("PATH")).c_str(), 1);
  for (const std::string& path : paths) {
    GoldenFile file = parse(path);
    if (file.steps.empty()) {
      std::cout << path << ": holds no command\n";
      failed = true;
    }
    std::string directory = (fs::temp_directory_path() / "diptych-golden-XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) return 1;
    fs::current_path(directory);
    for (Step& step : file.steps) {
      const std::string found = run(step.command);
      if (found == step.expected) continue;
      if (rebase) {
        step.expected = found;
      } else {
        report(path, step, found);
        failed = true;
      }
    }
    fs::current_path("/");
    fs::remove_all(directory);
    if (rebase) {
      std::ofstream out(path);
      out << file.comment;
      for (const Step& step : file.steps) out << "$ " << step.command << "\n" << step.expected;
    }
  }
  return failed ? 1 : 0;
}
