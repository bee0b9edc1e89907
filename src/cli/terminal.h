// What people see: a progress bar on a terminal, aligned tables, sizes and times for reading.
// Results go to stdout, everything here to stderr unless said otherwise.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/printable.h"
#include "base/progress.h"
#include "cli/process.h"

namespace diptych::cli {

// A one-line bar on stderr; silent when stderr is no terminal.
class ProgressBar : public Progress {
 public:
  ProgressBar();
  ~ProgressBar() override { finish(); }
  void begin(std::string_view stage, uint64_t total) override;
  void advance(uint64_t done) override;
  void finish() override;
  bool cancelled() const override { return interrupted(); }

 private:
  void draw();
  bool enabled_, shown_ = false;
  std::string stage_;
  uint64_t total_ = 0, done_ = 0;
  Clock::time_point drawn_;
};

// Rows of cells with aligned columns, as many in each row as in the first, which is the heading.
// Columns of plain numbers align right. Cells are made printable, whatever a file put into them.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) { add(std::move(heading)); }
  void add(std::vector<std::string> row);
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Writes results to stdout at once; a closed or full stdout is an error. Where stdout is a
// terminal, control characters other than line feeds and tabs are written as escapes, a model's
// too: what it says may come from anyone. Files and pipes get every byte.
Status write_results(std::string_view text);

// All of stdin, byte for byte; more than `most` bytes are an error.
Result<std::string> read_standard_input(uint64_t most);

// Tells people something on stderr, on one line: whatever a file put into it, and of bounded
// length. All text that is not fixed goes this way.
void tell_line(std::string_view line);
template <class... Args>
void tell(fmt::format_string<Args...> format, Args&&... args) {
  tell_line(fmt::format(format, std::forward<Args>(args)...));
}

std::string human_seconds(double seconds);  // "12.3 ms", "4.5 s"
double rate(double count, double seconds);  // per second; 0 when no time has passed
uint64_t peak_memory_bytes();               // of this process: the resident set's high-water mark

}  // namespace diptych::cli
