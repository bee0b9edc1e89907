#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <numeric>
#include <system_error>

namespace diptych::cli {

namespace {
constexpr int kBarWidth = 30;
constexpr size_t kLongestStage = 60;
constexpr std::chrono::milliseconds kRedrawInterval{80};

bool is_number(const std::string& cell) {
  return !cell.empty() && cell.find_first_not_of("0123456789.-") == std::string::npos;
}
}  // namespace

ProgressBar::ProgressBar() : enabled_(isatty(STDERR_FILENO) != 0) {}

void ProgressBar::begin(std::string_view stage, uint64_t total) {
  stage_ = stage;
  total_ = total;
  done_ = 0;
  drawn_ = {};
  draw();
}

void ProgressBar::advance(uint64_t done) {
  done_ += done;
  draw();
}

void ProgressBar::finish() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

void ProgressBar::draw() {
  if (!enabled_) return;
  const auto now = Clock::now();
  if (shown_ && now - drawn_ < kRedrawInterval) return;
  drawn_ = now;
  shown_ = true;
  const double part =
      total_ ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : 0;
  const int filled = static_cast<int>(part * kBarWidth);
  fmt::print(stderr, "\r\x1b[K{} [{}{}] {:3.0f} %", one_line(stage_, kLongestStage),
             std::string(static_cast<size_t>(filled), '#'),
             std::string(static_cast<size_t>(kBarWidth - filled), '.'), part * 100);
  std::fflush(stderr);
}

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = one_line(cell);
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  const size_t columns = rows_.front().size();
  std::vector<size_t> widths(columns, 0);
  std::vector<bool> numeric(columns, rows_.size() > 1);
  for (size_t r = 0; r < rows_.size(); ++r) {
    for (size_t i = 0; i < rows_[r].size(); ++i) {
      widths[i] = std::max(widths[i], rows_[r][i].size());
      if (r > 0 && !is_number(rows_[r][i])) numeric[i] = false;
    }
  }
  std::string out;
  for (size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows_[r].size(); ++i) {
      line += numeric[i] ? fmt::format("{:>{}}  ", rows_[r][i], widths[i])
                         : fmt::format("{:<{}}  ", rows_[r][i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (r == 0) {
      const size_t total = std::accumulate(widths.begin(), widths.end(), 2 * (columns - 1));
      out += std::string(total, '-') + "\n";
    }
  }
  return out;
}

Status write_results(std::string_view text) {
  static const bool is_terminal = isatty(STDOUT_FILENO) != 0;
  const std::string safe = is_terminal ? printable(text, LineBreaks::Kept) : std::string();
  if (is_terminal) text = safe;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return {};
  }
  return fail(ErrorCode::Io, "cannot write to standard output: {}",
              std::generic_category().message(errno));
}

Result<std::string> read_standard_input(uint64_t most) {
  std::string text;
  char buffer[1 << 16];
  while (const size_t size = std::fread(buffer, 1, sizeof buffer, stdin)) {
    text.append(buffer, size);
    if (text.size() > most) return invalid_argument("more than {} bytes on standard input", most);
  }
  if (std::ferror(stdin) != 0) return fail(ErrorCode::Io, "cannot read standard input");
  return text;
}

void tell_line(std::string_view line) { fmt::print(stderr, "{}\n", one_line(line)); }

std::string human_seconds(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

double rate(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

uint64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace diptych::cli
