#include "base/mapped_ranges.h"

#include <mutex>
#include <string>
#include <utility>

namespace diptych {

// Entries are never freed, but used again, so that a signal handler can walk the list at any time.
struct MappedRange::Entry {
  std::atomic<const std::byte*> begin = nullptr;  // null: not in use
  std::atomic<size_t> size = 0;
  const char* path = nullptr;
  dev_t device = 0;
  ino_t number = 0;
  Entry* next = nullptr;

  bool became_shorter() const {
    struct stat now {};
    return ::stat(path, &now) == 0 && now.st_dev == device && now.st_ino == number &&
           static_cast<uint64_t>(now.st_size) < size;
  }
};

namespace {

std::mutex ranges_mutex;
std::string shorter;  // the first that was found so when it was unmapped

Status error_of(const std::string& path) {
  return within<void>(path, fail(ErrorCode::Io, "{}", kBecameShorter));
}

}  // namespace

std::atomic<MappedRange::Entry*> MappedRange::first_ = nullptr;

MappedRange::MappedRange(Bytes bytes, const char* path, const struct stat& info) {
  entry_ = nullptr;
  if (bytes.empty()) return;
  std::lock_guard lock(ranges_mutex);
  entry_ = first_;
  while (entry_ != nullptr && entry_->begin != nullptr) entry_ = entry_->next;
  if (entry_ == nullptr) {
    entry_ = new Entry;
    entry_->next = first_;
    first_ = entry_;
  }
  entry_->path = path;
  entry_->device = info.st_dev;
  entry_->number = info.st_ino;
  entry_->size = bytes.size();
  entry_->begin = bytes.data();
}

MappedRange::~MappedRange() {
  if (entry_ == nullptr) return;
  std::lock_guard lock(ranges_mutex);
  if (shorter.empty() && entry_->became_shorter()) shorter = entry_->path;
  entry_->begin = nullptr;
}

const char* mapped_path_at(const void* address) noexcept {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (const MappedRange::Entry* entry = MappedRange::first_; entry != nullptr;
       entry = entry->next) {
    const auto begin = reinterpret_cast<uintptr_t>(entry->begin.load());
    if (begin != 0 && at >= begin && at - begin < entry->size) return entry->path;
  }
  return nullptr;
}

Status check_mapped_files() {
  std::lock_guard lock(ranges_mutex);
  if (!shorter.empty()) return error_of(std::exchange(shorter, {}));
  for (const MappedRange::Entry* entry = MappedRange::first_; entry != nullptr;
       entry = entry->next) {
    if (entry->begin != nullptr && entry->became_shorter()) return error_of(entry->path);
  }
  return {};
}

}  // namespace diptych
