#include "exporter/options.h"

#include <charconv>

namespace diptych::exporter {

namespace {

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<std::optional<passes::Quantization>> embedding_from_text(std::string_view text) {
  if (text.empty() || text == "none") return std::optional<passes::Quantization>();
  const size_t comma = text.find(',');
  const auto bits = number(text.substr(0, comma));
  const auto group = comma == text.npos ? std::nullopt : number(text.substr(comma + 1));
  if (!bits || !group || *bits < 0 || *bits > 64) {
    return invalid_argument(
        "--embedding_quantize: expected bits,group such as 8,0 or 4,32, or none; "
        "found \"{}\"",
        text);
  }
  const passes::Quantization how{static_cast<int>(*bits), *group};
  TRY(within("--embedding_quantize", passes::check(how)));
  return std::optional(how);
}

Result<std::optional<passes::Quantization>> linear_from_text(std::string_view text) {
  if (text == "none") return std::optional<passes::Quantization>();
  if (text == "c4w") return std::optional(passes::kC4w);
  if (text == "b4w") return std::optional(passes::kB4w);
  return invalid_argument("--linear_quantize: expected c4w, b4w or none, found \"{}\"", text);
}

Status check(const Options& options) {
  constexpr int64_t kMaxContext = int64_t{1} << 24;
  if (options.max_context_len < 2 || options.max_context_len > kMaxContext) {
    return invalid_argument("--max_context_len: expected 2 to {}, found {}", kMaxContext,
                            options.max_context_len);
  }
  const int64_t largest =
      options.multifunction ? options.max_context_len : options.max_context_len - 1;
  if (options.input_len < 1 || options.input_len > largest) {
    return invalid_argument(
        "--input_len: expected 1 to {} for --max_context_len {}{}, found {}", largest,
        options.max_context_len,
        options.multifunction ? "" : " (at least one position must stay for the cache)",
        options.input_len);
  }
  if (options.split.target_size < 0) {
    return invalid_argument("--target_split_size: expected a size, or 0 for no split, found {}",
                            options.split.target_size);
  }
  if (options.split.max_splits < 1) {
    return invalid_argument("--max_splits: expected 1 or more, found {}", options.split.max_splits);
  }
  return {};
}

}  // namespace diptych::exporter
