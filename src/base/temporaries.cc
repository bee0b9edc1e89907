#include "base/temporaries.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

namespace diptych {

struct Temporary::Slot {
  enum State : int { kFree, kFilling, kKnown };
  std::atomic<int> state = kFree;
  Kind kind = Kind::File;
  char path[PATH_MAX];  // absolute
};

namespace {

constexpr size_t kSlots = 64;
constexpr int kDeepest = 64;  // of directories in one another

// As the system call writes them; readdir() allocates memory, which a signal handler must not.
struct DirectoryEntry {
  uint64_t number;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[1];
};

void remove_contents(int directory, int depth) noexcept {
  alignas(DirectoryEntry) char buffer[4096];
  for (;;) {
    // From the beginning, for entries are taken away.
    if (::lseek(directory, 0, SEEK_SET) < 0) return;
    const long size = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    bool removed = false;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      at += entry->size;
      const char* name = buffer + at - entry->size + offsetof(DirectoryEntry, name);
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
      if (::unlinkat(directory, name, 0) == 0) {
        removed = true;
        continue;
      }
      const int inner = ::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (inner < 0) continue;
      if (depth < kDeepest) remove_contents(inner, depth + 1);
      ::close(inner);
      removed = ::unlinkat(directory, name, AT_REMOVEDIR) == 0 || removed;
    }
    if (!removed) return;
  }
}

}  // namespace

Temporary::Slot Temporary::slots_[kSlots];

Temporary::Temporary(Kind kind, const std::string& path) {
  std::error_code failed;
  const std::string absolute = std::filesystem::absolute(path, failed).string();
  if (failed || absolute.size() >= sizeof Slot::path) return;
  for (Slot& slot : slots_) {
    int free = Slot::kFree;
    if (!slot.state.compare_exchange_strong(free, Slot::kFilling)) continue;
    slot.kind = kind;
    std::memcpy(slot.path, absolute.c_str(), absolute.size() + 1);
    slot.state = Slot::kKnown;
    slot_ = &slot;
    return;
  }
}

Temporary& Temporary::operator=(Temporary&& other) noexcept {
  forget();
  slot_ = std::exchange(other.slot_, nullptr);
  return *this;
}

void Temporary::forget() {
  if (slot_ != nullptr) slot_->state = Slot::kFree;
  slot_ = nullptr;
}

std::string temporary_name(const std::string& path) {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  static constexpr size_t kRandom = 6;
  std::filesystem::path name = path;
  std::string leaf = name.filename().string();
  leaf.resize(std::min<size_t>(leaf.size(), NAME_MAX - kRandom - 1));
  leaf += '.';
  std::random_device random;
  std::uniform_int_distribution<size_t> any(0, kLetters.size() - 1);
  for (size_t i = 0; i < kRandom; ++i) leaf += kLetters[any(random)];
  return name.replace_filename(leaf).string();
}

void remove_temporaries() noexcept {
  // Directories become empty by what is removed before them.
  for (bool removed = true; removed;) {
    removed = false;
    for (Temporary::Slot& slot : Temporary::slots_) {
      if (slot.state != Temporary::Slot::kKnown) continue;
      switch (slot.kind) {
        case Temporary::Kind::File:
          removed = ::unlink(slot.path) == 0 || removed;
          break;
        case Temporary::Kind::Tree:
          remove_tree(slot.path);
          [[fallthrough]];
        case Temporary::Kind::EmptyDirectory:
          removed = ::rmdir(slot.path) == 0 || removed;
      }
    }
  }
}

void remove_tree(const char* path) noexcept {
  const int directory = ::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return;
  remove_contents(directory, 0);
  ::close(directory);
  ::rmdir(path);
}

}  // namespace diptych
