#include "executorch/options.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <variant>
#include <vector>

namespace diptych::plugin {

namespace {

using executorch::runtime::BackendOption;
using executorch::runtime::kMaxOptionKeyLength;
using executorch::runtime::kMaxOptionValueLength;
using executorch::runtime::Span;
using Text = std::array<char, kMaxOptionValueLength>;

constexpr std::string_view kNumerics = "numerics";
constexpr std::string_view kThreads = "num_threads";
// Of Apple's backend: they choose hardware and caches.
constexpr std::array<std::string_view, 3> kWithoutMeaning = {"compute_unit", "cache_dir",
                                                             "_use_new_cache"};
constexpr int kMaxThreads = 1024;

// Keys and texts end at a zero or at the end of their array.
std::string_view key_of(const BackendOption& option) {
  return {option.key, strnlen(option.key, kMaxOptionKeyLength)};
}

bool has_no_meaning(std::string_view key) {
  return std::find(kWithoutMeaning.begin(), kWithoutMeaning.end(), key) != kWithoutMeaning.end();
}

Error unknown(std::string_view key) {
  return {ErrorCode::NotFound,
          {},
          fmt::format("no option \"{}\"; there are", key),
          {std::string(kNumerics), std::string(kThreads)}};
}

Result<engine::Numerics> numerics_of(const BackendOption& option) {
  const auto* text = std::get_if<Text>(&option.value);
  if (text == nullptr) return invalid_argument("option {} is a string", kNumerics);
  return within("option numerics",
                engine::numerics_from_name({text->data(), strnlen(text->data(), text->size())}));
}

Result<int> checked_threads(int count) {
  if (count >= 0 && count <= kMaxThreads) return count;
  return invalid_argument("expected 0 (all CPUs) to {} threads, found {}", kMaxThreads, count);
}

Result<int> threads_of(const BackendOption& option) {
  const auto* count = std::get_if<int>(&option.value);
  if (count == nullptr) return invalid_argument("option {} is an int", kThreads);
  return within("option num_threads", checked_threads(*count));
}

// Null when the environment does not say.
const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

Options& Options::instance() {
  static auto* const options = new Options;
  return *options;
}

Status Options::set(Span<const BackendOption> options) {
  std::optional<engine::Numerics> numerics;
  std::optional<int> threads;
  for (const BackendOption& option : options) {
    const std::string_view key = key_of(option);
    if (key == kNumerics) {
      numerics = TRY(numerics_of(option));
    } else if (key == kThreads) {
      threads = TRY(threads_of(option));
    } else if (!has_no_meaning(key)) {
      return tl::unexpected(unknown(key));
    }
  }
  std::lock_guard lock(mutex_);
  if (numerics) numerics_ = numerics;
  if (threads) {
    num_threads_ = threads;
    pool_.reset();
  }
  return {};
}

Status Options::get(Span<BackendOption> options) const {
  std::lock_guard lock(mutex_);
  for (BackendOption& option : options) {
    const std::string_view key = key_of(option);
    if (key == kNumerics) {
      const std::string_view value = engine::name(numerics_ ? *numerics_ : TRY(default_numerics()));
      Text text{};
      value.copy(text.data(), text.size() - 1);
      option.value = text;
    } else if (key == kThreads) {
      option.value = TRY(wanted_threads());
    } else {
      return tl::unexpected(unknown(key));
    }
  }
  return {};
}

Result<engine::Numerics> Options::numerics(Span<const BackendOption> load_options) const {
  for (const BackendOption& option : load_options) {
    if (key_of(option) == kNumerics) return numerics_of(option);
  }
  std::lock_guard lock(mutex_);
  return numerics_ ? *numerics_ : default_numerics();
}

Result<engine::Numerics> Options::default_numerics() const {
  const char* name = environment("DIPTYCH_NUMERICS");
  if (name == nullptr) return engine::Numerics::Fast;
  return within("DIPTYCH_NUMERICS", engine::numerics_from_name(name));
}

Result<int> Options::wanted_threads() const {
  if (num_threads_) return *num_threads_;
  const char* text = environment("DIPTYCH_THREADS");
  if (text == nullptr) return 0;
  const char* end = text + std::strlen(text);
  int count = 0;
  const auto [stop, error] = std::from_chars(text, end, count);
  if (error != std::errc() || stop != end) count = -1;
  return within("DIPTYCH_THREADS=" + std::string(text), checked_threads(count));
}

Result<std::shared_ptr<ThreadPool>> Options::threads() {
  std::lock_guard lock(mutex_);
  if (pool_ && pool_process_ != getpid()) {
    // A pool's threads do not survive a fork, and joining them would never end.
    static std::vector<std::shared_ptr<ThreadPool>> lost;
    lost.push_back(std::move(pool_));
  }
  if (!pool_) {
    pool_ = std::make_shared<ThreadPool>(TRY(wanted_threads()));
    pool_process_ = getpid();
  }
  return pool_;
}

}  // namespace diptych::plugin
