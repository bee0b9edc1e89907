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
    return invalid_argument("expected bits,group such as 8,0 or 4,32, or none; found \"{}\"", text);
  }
  const passes::Quantization how{static_cast<int>(*bits), *group};
  TRY(passes::check(how));
  return std::optional(how);
}

namespace {

struct LinearFormat {
  std::string_view name;
  std::optional<passes::Quantization> how;
};
constexpr LinearFormat kLinearFormats[] = {
    {"c4w", passes::kC4w},
    {"c8w", passes::kC8w},
    {"b4w", passes::kB4w},
    {"b4w:64", passes::Quantization{4, 64}},
    {"b4w:128", passes::Quantization{4, 128}},
    {"none", std::nullopt},
};

Result<std::optional<passes::Quantization>> linear_from_text(std::string_view text) {
  std::string known;
  for (const LinearFormat& format : kLinearFormats) {
    if (format.name == text) return format.how;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", format.name);
  }
  return invalid_argument("expected one of {}, found \"{}\"", known, text);
}

std::string linear_text(const std::optional<passes::Quantization>& how) {
  for (const LinearFormat& format : kLinearFormats) {
    if (format.how.has_value() != how.has_value()) continue;
    if (!how || (format.how->bits == how->bits && format.how->group == how->group)) {
      return std::string(format.name);
    }
  }
  return passes::to_string(*how);
}

Result<LinearOverride> override_from_text(std::string_view text) {
  const size_t equals = text.rfind('=');
  if (equals == text.npos || equals == 0) {
    return invalid_argument("expected PATTERN=FORMAT such as layers.0.*=c8w, found \"{}\"", text);
  }
  return LinearOverride{std::string(text.substr(0, equals)),
                        TRY(linear_from_text(text.substr(equals + 1)))};
}

Status check(const Options& options) {
  constexpr int64_t kMaxContext = int64_t{1} << 24;
  if (options.max_context_len < 2 || options.max_context_len > kMaxContext) {
    return about(Setting::ContextLength, invalid_argument("expected 2 to {}, found {}", kMaxContext,
                                                          options.max_context_len));
  }
  const int64_t largest =
      options.multifunction ? options.max_context_len : options.max_context_len - 1;
  if (options.input_len < 1 || options.input_len > largest) {
    return about(
        Setting::InputLength,
        invalid_argument(
            "expected 1 to {} for a context of {}{}, found {}", largest, options.max_context_len,
            options.multifunction ? "" : " (at least one position must stay for the cache)",
            options.input_len));
  }
  if (options.verify_len != 0 && (!options.multifunction || options.verify_len < 2 ||
                                  options.verify_len > options.max_context_len)) {
    return invalid_argument("tokens to verify: expected 2 to {} with several functions, found {}",
                            options.max_context_len, options.verify_len);
  }
  if (options.split.target_size < 0) {
    return about(Setting::SplitSize,
                 invalid_argument("expected a size, or 0 for no split, found {}",
                                  options.split.target_size));
  }
  if (options.split.max_splits < 1) {
    return about(Setting::MostSplits,
                 invalid_argument("expected 1 or more, found {}", options.split.max_splits));
  }
  if (options.quantization.algorithm != passes::Algorithm::Gptq) return {};
  size_t tokens = 0;
  for (const auto& text : options.quantization.calibration) tokens += text.size();
  if (tokens >= kLeastCalibration) return {};
  if (tokens == 0) {
    return about(Setting::Algorithm,
                 hinted(invalid_argument("gptq needs a text like those that the model is for"),
                        Advice::NameCalibration));
  }
  return about(
      Setting::Calibration,
      invalid_argument("expected a text of at least {} tokens, better some thousands, found {}",
                       kLeastCalibration, tokens));
}

}  // namespace diptych::exporter
