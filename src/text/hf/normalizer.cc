#include "text/hf/normalizer.h"

#include "base/json.h"
#include "text/byte_level.h"
#include "text/hf/component.h"
#include "text/utf8.h"

namespace diptych::text::hf {

namespace {

// The text without white space at the chosen ends.
std::string strip(std::string_view text, bool left, bool right) {
  size_t begin = 0, end = 0, at = 0;
  bool only_space = true;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    at += next_utf8(rest).size;
    if (is_white_space(first_character(rest))) {
      if (only_space) begin = at;
    } else {
      only_space = false;
      end = at;
    }
  }
  if (!left) begin = 0;
  if (!right || (only_space && !left)) end = right ? 0 : text.size();
  return std::string(begin < end ? text.substr(begin, end - begin) : std::string_view());
}

}  // namespace

Result<Normalizer::Step> Normalizer::read_step(const Json& json, std::string_view type) {
  if (type == "NFC") return NormalForm::NFC;
  if (type == "NFD") return NormalForm::NFD;
  if (type == "NFKC") return NormalForm::NFKC;
  if (type == "NFKD") return NormalForm::NFKD;
  if (type == "Lowercase") return Lowercase();
  if (type == "ByteLevel") return ByteLevel();
  if (type == "Prepend") return Prepend{TRY(json_string(json, "prepend"))};
  if (type == "Strip") {
    const bool left = TRY(bool_or(json, "strip_left", true));
    return Strip{left, TRY(bool_or(json, "strip_right", true))};
  }
  if (type == "Replace") {
    Pattern pattern = TRY(read_pattern(json));
    std::string content = TRY(json_string(json, "content"));
    return Replace{std::move(pattern), std::move(content)};
  }
  return unknown_component(
      "normalizer", type,
      "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace, ByteLevel and Sequence");
}

Result<Normalizer> Normalizer::read(const Json& json) {
  Normalizer normalizer;
  if (json.is_null()) return normalizer;
  TRY(for_each_component(json, "normalizers",
                         [&](const Json& component, std::string_view type) -> Status {
                           normalizer.steps_.push_back(TRY(read_step(component, type)));
                           return {};
                         }));
  return normalizer;
}

Result<std::string> Normalizer::apply_step(const Step& step, std::string text, Work& work) {
  if (const auto* form = std::get_if<NormalForm>(&step)) return normalize(text, *form);
  if (const auto* prepend = std::get_if<Prepend>(&step)) {
    return text.empty() ? text : prepend->text + text;
  }
  if (const auto* replace = std::get_if<Replace>(&step)) {
    return replace_all(text, replace->pattern, replace->content, work);
  }
  if (const auto* ends = std::get_if<Strip>(&step)) return strip(text, ends->left, ends->right);
  if (std::holds_alternative<Lowercase>(step)) return lowercase(text);
  std::string mapped;
  append_byte_level(text, mapped);
  return mapped;
}

Result<std::string> Normalizer::apply(std::string text, Work& work) const {
  for (const Step& step : steps_) {
    TRY(work.take(1 + text.size()));
    text = TRY(apply_step(step, std::move(text), work));
    TRY(work.check_size(text.size()));  // replacements can multiply a text, one after another
  }
  return text;
}

}  // namespace diptych::text::hf
