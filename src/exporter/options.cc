#include "exporter/options.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/in_quotes.h"
#include "contract/model.h"

namespace diptych::exporter {

namespace {

constexpr std::string_view kUnquantized = "none", kKept = "keep";

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One method leaves at least one position to the cache; several have a cache beside the one token
// of decoding.
Status check_length(Setting setting, int64_t least, int64_t length, const Options& options) {
  const int64_t largest =
      options.multifunction ? options.max_context_len : options.max_context_len - 1;
  if (length >= least && length <= largest) return {};
  return about(
      setting,
      invalid_argument(
          "expected {} to {} for a context of {}{}, found {}", least, largest,
          options.max_context_len,
          options.multifunction ? "" : " (at least one position must stay for the cache)", length));
}

// The tokens of each method.
Status check_functions(const Options& options) {
  const std::vector<int64_t>& prefills = options.prefill_lens;
  if (prefills.empty()) TRY(check_length(Setting::InputLength, 1, options.input_len, options));
  if (!options.multifunction && (!prefills.empty() || options.verify_len)) {
    return invalid_argument("lengths of methods for prompts and drafts are for several methods");
  }
  for (size_t i = 0; i < prefills.size(); ++i) {
    TRY(check_length(Setting::PrefillLengths, 1, prefills[i], options));
    if (std::find(prefills.begin(), prefills.begin() + static_cast<std::ptrdiff_t>(i),
                  prefills[i]) != prefills.begin() + static_cast<std::ptrdiff_t>(i)) {
      return about(Setting::PrefillLengths,
                   invalid_argument("expected each length once, found {} twice", prefills[i]));
    }
  }
  if (prefills.size() > kMostPrefills) {
    return about(Setting::PrefillLengths, invalid_argument("expected at most {} lengths, found {}",
                                                           kMostPrefills, prefills.size()));
  }
  // What decoding does for one token needs no method of its own.
  constexpr int64_t kLeastVerified = 2;
  if (!options.verify_len) return {};
  return check_length(Setting::VerifyLength, kLeastVerified, *options.verify_len, options);
}

Status check_adapters(const Options& options) {
  if (options.adapters.size() > kMostAdapters) {
    return invalid_argument("expected at most {} adapters, found {}", kMostAdapters,
                            options.adapters.size());
  }
  std::set<std::string_view> names;
  for (const AdapterSource& adapter : options.adapters) {
    if (adapter.name.empty()) continue;
    if (!contract::is_adapter_name(adapter.name)) {
      return invalid_argument(
          "adapter {}: expected a name of at most 64 letters, digits and single underscores that "
          "begins with a letter",
          in_quotes(adapter.name));
    }
    if (!names.insert(adapter.name).second) {
      return invalid_argument("two adapters are named {}", in_quotes(adapter.name));
    }
  }
  return {};
}

}  // namespace

Result<std::optional<quant::Format>> embedding_from_text(std::string_view text) {
  if (text.empty() || text == kUnquantized) return std::optional<quant::Format>();
  for (const quant::NamedFormat& row : quant::named_formats()) {
    if (row.name == text && row.format.kind == quant::Kind::Palette) {
      return std::optional(row.format);
    }
  }
  if (text == kKept) return std::optional(quant::kKeep);
  const size_t comma = text.find(',');
  const auto bits = number(text.substr(0, comma));
  const auto group = comma == text.npos ? std::nullopt : number(text.substr(comma + 1));
  if (!bits || !group || *bits < 0 || *bits > 64) {
    return invalid_argument(
        "expected bits,group such as 8,0 or 4,32, a palette such as p8, keep or none; found \"{}\"",
        text);
  }
  const quant::Format format{static_cast<int>(*bits), *group};
  TRY(quant::check(format));
  return std::optional(format);
}

Result<std::optional<quant::Format>> linear_from_text(std::string_view text) {
  if (text == kUnquantized) return std::optional<quant::Format>();
  std::string known;
  for (const quant::NamedFormat& row : quant::named_formats()) {
    if (row.name == text) return std::optional(row.format);
    known += fmt::format("{}, ", row.name);
  }
  return invalid_argument("expected one of {}{}, found \"{}\"", known, kUnquantized, text);
}

AdapterSource adapter_from_text(std::string_view text) {
  // A path with an equals sign in a directory's name has a slash before it, or can have one.
  const size_t equals = text.find('='), slash = text.find('/');
  if (equals == 0 || equals == text.npos || slash < equals) return {{}, std::string(text)};
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<LinearOverride> override_from_text(std::string_view text) {
  const size_t equals = text.rfind('=');
  if (equals == text.npos || equals == 0) {
    return invalid_argument("expected PATTERN=FORMAT such as layers.0.*=c8w, found \"{}\"", text);
  }
  const auto linear = TRY(linear_from_text(text.substr(equals + 1)));
  return LinearOverride{std::string(text.substr(0, equals)), linear};
}

Status check(const Options& options) {
  constexpr int64_t kMaxContext = int64_t{1} << 24;
  if (options.max_context_len < 2 || options.max_context_len > kMaxContext) {
    return about(Setting::ContextLength, invalid_argument("expected 2 to {}, found {}", kMaxContext,
                                                          options.max_context_len));
  }
  TRY(check_functions(options));
  TRY(check_adapters(options));
  if (options.finite_mask && options.dtype != DType::F16) {
    return invalid_argument(
        "finite masks are for fp16, found an export in {}; fp32 takes infinite "
        "ones",
        name(options.dtype));
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
  const bool calibrated = quant::needs_inputs(options.quantization.algorithm) &&
                          !options.quantization.calibration.empty();
  return calibrated ? check_calibration(options) : Status();
}

int64_t calibration_window(int64_t max_context_len) {
  constexpr int64_t kLongest = 512;
  return std::min(kLongest, max_context_len);
}

Status check_calibration(const Options& options) {
  size_t tokens = 0;
  for (const auto& text : options.quantization.calibration) tokens += text.size();
  if (tokens >= kLeastCalibration) return {};
  return about(
      Setting::Calibration,
      invalid_argument("expected a text of at least {} tokens, better some thousands, found {}",
                       kLeastCalibration, tokens));
}

}  // namespace diptych::exporter
