#include "openai/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/json.h"
#include "base/utf8.h"

namespace diptych::openai {

namespace {

// A log probability of -inf has no JSON; clients take this for it.
constexpr double kLeastLogprob = -9999;

Json token_json(const text::Tokenizer& tokenizer, int64_t token, double logprob) {
  const std::string_view piece = tokenizer.piece(static_cast<text::TokenId>(token));
  Json bytes = Json::array();
  for (const char byte : piece) bytes.push_back(static_cast<uint8_t>(byte));
  return {{"token", token_text(tokenizer, token)},
          {"logprob", std::max(logprob, kLeastLogprob)},
          {"bytes", std::move(bytes)}};
}

}  // namespace

std::string new_id(std::string_view prefix) {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    return std::mt19937_64((uint64_t{device()} << 32) | device());
  }();
  return fmt::format("{}{:016x}{:08x}", prefix, random(), static_cast<uint32_t>(random()));
}

std::string event(const Json& json) { return "data: " + dump_json(json) + "\n\n"; }

std::string token_text(const text::Tokenizer& tokenizer, int64_t id) {
  const auto token = static_cast<text::TokenId>(id);
  const std::string_view piece = tokenizer.piece(token);
  if (piece.empty()) return tokenizer.special_name(token);
  if (is_valid_utf8(piece)) return std::string(piece);
  std::string text = "bytes:";
  for (const char byte : piece) text += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return text;
}

Json chat_logprob(const text::Tokenizer& tokenizer, int64_t token,
                  const generate::TokenLogprobs& logprobs) {
  Json json = token_json(tokenizer, token, logprobs.chosen);
  Json& top = json["top_logprobs"] = Json::array();
  for (const auto& [id, logprob] : logprobs.best) {
    top.push_back(token_json(tokenizer, id, logprob));
  }
  return json;
}

std::string_view finish_reason(const serve::Outcome& outcome) {
  switch (outcome.reason) {
    case generate::StopReason::MaxTokens:
    case generate::StopReason::ContextFull:
      return "length";
    default:
      return "stop";
  }
}

Json usage_json(const std::vector<serve::Outcome>& outcomes, size_t prompts) {
  int64_t prompt = 0, reused = 0, answer = 0;
  const size_t choices = std::max<size_t>(outcomes.size() / std::max<size_t>(prompts, 1), 1);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    answer += outcomes[i].answer_tokens;
    if (i % choices != 0) continue;
    prompt += outcomes[i].prompt_tokens;
    reused += outcomes[i].reused_tokens;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", answer},
          {"total_tokens", prompt + answer},
          {"prompt_tokens_details", {{"cached_tokens", reused}}}};
}

}  // namespace diptych::openai
