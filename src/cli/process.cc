#include "cli/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>

#include "base/mapped_ranges.h"
#include "base/temporaries.h"

namespace diptych::cli {

namespace {

// Those that end a process and can be handled, but for faults.
constexpr std::array kEndingSignals = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM,  SIGTERM,
                                       SIGUSR1, SIGUSR2, SIGXCPU, SIGPROF, SIGVTALRM};
constexpr int kFailure = 1;

std::atomic<bool> was_interrupted{false};
std::atomic<const char*> command_name{nullptr};

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

// All below until guard_process() is called in signal handlers or when memory has ended: it
// allocates nothing and takes no locks.

void end_by(int signal) {
  remove_temporaries();
  handle(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  raise(signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void interrupt(int signal) {
  if (was_interrupted.exchange(true)) end_by(signal);
}

// A line of pieces, as long as fits. What would move a terminal's cursor becomes a question mark.
class Line {
 public:
  Line& add(std::string_view text) {
    for (const char c : text.substr(0, sizeof text_ - 1 - size_)) {
      const bool control = static_cast<unsigned char>(c) < ' ' || c == '\x7f';
      text_[size_++] = control ? '?' : c;
    }
    return *this;
  }
  Line& add(size_t number) {
    char digits[std::numeric_limits<size_t>::digits10 + 1];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
    return add(std::string_view(digits, static_cast<size_t>(end - digits)));
  }
  void print() {
    text_[size_++] = '\n';
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text_, size_);
  }

 private:
  char text_[1000];
  size_t size_ = 0;
};

Line error_line() {
  Line line;
  line.add("diptych");
  if (const char* command = command_name) line.add(" ").add(command);
  line.add(": ");
  return line;
}

[[noreturn]] void fail_with(Line& line) {
  // Several threads can come here, with as many lines.
  static std::atomic_flag first = ATOMIC_FLAG_INIT;
  if (first.test_and_set()) {
    for (;;) ::pause();
  }
  constexpr std::string_view kClearLine = "\r\x1b[K";  // of a progress bar
  if (::isatty(STDERR_FILENO) != 0) {
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, kClearLine.data(), kClearLine.size());
  }
  line.print();
  remove_temporaries();
  ::_exit(kFailure);
}

void read_of_nothing(int signal, siginfo_t* info, void*) {
  const char* path = mapped_path_at(info->si_addr);
  if (path == nullptr) return handle(signal, SIG_DFL);  // and again
  Line line = error_line();
  fail_with(line.add(path).add(": ").add(kBecameShorter));
}

// A stack that has to grow when memory has ended ends the process without a word.
[[gnu::noinline]] void grow_stack() {
  rlimit limit{};
  getrlimit(RLIMIT_STACK, &limit);
  const size_t size = std::min<rlim_t>(limit.rlim_cur / 2, 1 << 20);
  auto* const deepest = static_cast<volatile char*>(__builtin_alloca(size));
  *deepest = 0;
}

}  // namespace

[[noreturn]] void end_out_of_memory(size_t size) {
  Line line = error_line();
  fail_with(line.add("out of memory: ").add(size).add(" bytes asked for"));
}

void guard_process() {
  grow_stack();
  for (const int signal : kEndingSignals) {
    struct sigaction present {};
    sigaction(signal, nullptr, &present);
    if (present.sa_handler == SIG_DFL) handle(signal, end_by);
  }
  handle(SIGXFSZ, SIG_IGN);
  struct sigaction action {};
  action.sa_sigaction = read_of_nothing;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

void set_process_command(const char* command) { command_name = command; }

void stop_on_interrupt() {
  was_interrupted = false;
  handle(SIGINT, interrupt);
}

bool interrupted() { return was_interrupted; }

}  // namespace diptych::cli

// The program's own operator new: an exception would say neither how much memory was asked for nor
// reach main() from every thread, destructor and library. Those that may fail still do. What they
// give is freed by the standard library's operator delete, with free(). Sanitizers keep theirs.
#ifndef DIPTYCH_SANITIZED

namespace {

void* aligned(size_t size, std::align_val_t alignment) noexcept {
  const auto step = std::max(static_cast<size_t>(alignment), sizeof(void*));
  void* memory = nullptr;
  return ::posix_memalign(&memory, step, std::max<size_t>(size, 1)) == 0 ? memory : nullptr;
}

void* or_end(void* memory, size_t size) {
  if (memory == nullptr) diptych::cli::end_out_of_memory(size);
  return memory;
}

}  // namespace

void* operator new(size_t size) { return or_end(std::malloc(std::max<size_t>(size, 1)), size); }
void* operator new(size_t size, std::align_val_t alignment) {
  return or_end(aligned(size, alignment), size);
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(std::max<size_t>(size, 1));
}
void* operator new[](size_t size, const std::nothrow_t& nothrow) noexcept {
  return ::operator new(size, nothrow);
}
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return aligned(size, alignment);
}
void* operator new[](size_t size, std::align_val_t alignment,
                     const std::nothrow_t& nothrow) noexcept {
  return ::operator new(size, alignment, nothrow);
}

#endif
