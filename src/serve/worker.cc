#include "serve/worker.h"

#include <algorithm>
#include <random>

#include "answer/text_stream.h"
#include "base/json.h"

namespace diptych::serve {

using generate::StopReason;

namespace {

constexpr size_t kMostNameBytes = 256;

template <class T>
Result<T> or_default(const Json& request, const char* key, T missing,
                     Result<T> (*read)(const Json&, std::string_view)) {
  const auto found = request.find(key);
  if (found == request.end() || found->is_null()) return missing;
  return read(request, key);
}

Result<generate::SamplerOptions> sampler_of(const Json& request, int64_t vocab_size) {
  generate::SamplerOptions sampler;
  sampler.temperature = TRY(or_default<double>(request, "temperature", 0, json_number));
  sampler.top_p = TRY(or_default<double>(request, "top_p", 1, json_number));
  sampler.top_k = TRY(or_default<int64_t>(request, "top_k", 0, json_int));
  const int64_t seed = TRY(or_default<int64_t>(request, "seed", 0, json_int));
  if (!(sampler.top_p > 0)) return invalid_argument("top_p must be finite and in (0, 1]");
  if (seed < 0) return invalid_argument("seed must be nonnegative");
  sampler.seed = seed > 0 ? static_cast<uint64_t>(seed) : std::random_device()();
  TRY(generate::check(sampler, vocab_size));
  return sampler;
}

Result<text::StopTexts> stops_of(const Json& request) {
  const auto found = request.find("stop");
  if (found == request.end() || found->is_null()) return text::StopTexts();
  if (!found->is_array()) return invalid_data("stop: expected a list of texts");
  std::vector<std::string> texts;
  for (const Json& text : *found) {
    if (!text.is_string()) return invalid_data("stop: expected a list of texts");
    if (text != "") texts.push_back(text.get<std::string>());
  }
  return text::StopTexts::create(std::move(texts));
}

double per_second(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

}  // namespace

Json Worker::ready() const {
  return {{"ready", true}, {"max_sessions", most_named_ + 1}, {"max_named_sessions", most_named_}};
}

Status Worker::serve(std::string_view line, const Emit& emit) {
  bool written = true;
  const Emit tell = [&](const Json& json) { return written = written && emit(json); };
  Result<Json> last = parse_json(line);
  if (last) last = dispatch(*last, tell);
  tell(last ? *last : Json{{"error", last.error().to_string()}});
  if (!written) return fail(ErrorCode::Io, "cannot write to standard output");
  return {};
}

Result<Json> Worker::dispatch(const Json& request, const Emit& emit) {
  if (!request.is_object()) return invalid_data("expected an object");
  const std::string op = TRY(or_default<std::string>(request, "op", "", json_string));
  const std::string id = TRY(or_default<std::string>(request, "session_id", "", json_string));
  if (id.size() > kMostNameBytes) {
    return invalid_data("session_id: more than {} bytes", kMostNameBytes);
  }
  const bool generates = op.empty() || op == "generate";
  if (!generates) {
    if (op != "open" && op != "close" && op != "reset") return invalid_data("unknown op");
    if (id.empty()) return invalid_data("session_id required for op");
  }
  if (op == "close") {
    named_.erase(id);
    return Json{{"closed", true}, {"session_id", id}};
  }
  if (op == "reset") {
    if (const auto found = named_.find(id); found != named_.end()) {
      found->second.session->rewind(0);
      found->second.tokens.clear();
      found->second.dirty = false;
    }
    return Json{{"reset", true}, {"session_id", id}};
  }
  if (id.empty()) {
    if (!unnamed_.session) unnamed_.session = TRY(model_.new_session());
    return generate(unnamed_, false, request, emit);
  }
  std::string code;
  Named* named = TRY(open(id, code));
  if (named == nullptr) {
    return Json{{"error", "cannot open session"}, {"code", code}, {"session_id", id}};
  }
  if (!generates) return Json{{"opened", true}, {"session_id", id}};
  return generate(*named, true, request, emit);
}

Result<Worker::Named*> Worker::open(const std::string& id, std::string& code) {
  const auto found = named_.find(id);
  if (found != named_.end()) return &found->second;
  if (named_.size() >= most_named_) {
    code = most_named_ == 0 ? "unsupported_session" : "capacity_exhausted";
    return nullptr;
  }
  auto session = TRY(model_.new_session());
  Named& named = named_[id];
  named.session = std::move(session);
  return &named;
}

// A rendered text, or pieces of such and of tokens.
Result<std::vector<int64_t>> Worker::prompt_of(const Json& request) const {
  const auto text = request.find("prompt"), segments = request.find("prompt_segments");
  if ((text == request.end()) == (segments == request.end())) {
    return invalid_data("exactly one of prompt / prompt_segments is required");
  }
  std::vector<int64_t> ids;
  const auto add_text = [&](const Json& piece) -> Status {
    if (!piece.is_string()) return invalid_data("a prompt's text is no text");
    const auto more = TRY(model_.encode(piece.get<std::string>(), false, text::Specials::AsTokens));
    ids.insert(ids.end(), more.begin(), more.end());
    return {};
  };
  if (text != request.end()) {
    TRY(add_text(*text));
  } else {
    if (!segments->is_array()) return invalid_data("prompt_segments: expected a list");
    for (const Json& segment : *segments) {
      const bool has_ids = segment.is_object() && segment.contains("ids");
      if (!has_ids) {
        if (!segment.is_object() || !segment.contains("text")) {
          return invalid_data("prompt_segment needs `text` or `ids`");
        }
        TRY(add_text(segment["text"]));
        continue;
      }
      for (const Json& id : segment["ids"]) {
        if (!id.is_number_integer()) return invalid_data("prompt_segments: an id is no number");
        ids.push_back(id.get<int64_t>());
      }
    }
  }
  if (ids.empty()) return invalid_data("empty prompt");
  return ids;
}

Result<Json> Worker::generate(Named& named, bool resume, const Json& request, const Emit& emit) {
  const std::vector<int64_t> prompt = TRY(prompt_of(request));
  generate::GenerateOptions options;
  options.sampler = TRY(sampler_of(request, model_.vocab_size()));
  options.stop_tokens = model_.stop_ids();
  const int64_t room = model_.max_context() - std::ssize(prompt);
  if (room <= 0) return invalid_argument("prompt fills the context window; no room to generate");
  const int64_t most = TRY(or_default<int64_t>(request, "max_new_tokens", -1, json_int));
  options.max_tokens = most <= 0 ? room : std::min(most, room);
  text::StopTexts stops = TRY(stops_of(request));

  // What the session holds is gone on from only where the prompt does.
  generate::Session& session = *named.session;
  const bool begins = named.tokens.size() <= prompt.size() &&
                      std::equal(named.tokens.begin(), named.tokens.end(), prompt.begin());
  const char* reason = !resume || named.tokens.empty()        ? "new"
                       : named.dirty                          ? "dirty"
                       : !begins                              ? "mismatch"
                       : named.tokens.size() == prompt.size() ? "equal"
                                                              : "exact_prefix";
  const bool goes_on = reason == std::string_view("exact_prefix");
  session.rewind(goes_on ? std::min(session.position(), std::ssize(named.tokens)) : 0);
  const int64_t reused = session.position();
  named.dirty = true;  // until it is done

  bool going = true;
  answer::TextStream stream(model_.tokenizer(), std::move(stops), [&](const answer::Piece& piece) {
    if (!piece.text.empty()) going = going && emit({{"token", piece.text}});
    return going;
  });
  stream.begin_after(prompt);
  generate::Sampler sampler(options.sampler);
  TRY(stream.generate(session, std::span(prompt).subspan(static_cast<size_t>(reused)), options,
                      sampler));
  const generate::Generation generation = stream.finish().generation;

  std::vector<int64_t> ids = generation.tokens;
  if (generation.reason == StopReason::StopToken) ids.pop_back();  // no part of the text
  const bool trimmed = generation.reason == StopReason::StopText;
  const bool stopped = trimmed || generation.reason == StopReason::StopToken;
  named.tokens = prompt;
  named.tokens.insert(named.tokens.end(), ids.begin(), ids.end());
  named.dirty = trimmed;
  const int64_t evaluated = std::ssize(prompt) - reused;
  Json done = {{"done", true},
               {"prompt_tokens", prompt.size()},
               {"completion_tokens", ids.size()},
               {"finish_reason", stopped ? "stop" : "length"},
               {"reused_prompt_tokens", reused},
               {"prefilled_prompt_tokens", evaluated},
               {"session_reset_reason", reason}};
  if (!trimmed) done["generated_token_ids"] = ids;
  const double prefill = generation.prefill_seconds, decode = generation.decode_seconds;
  done["prefill_ms"] = prefill * 1000;
  done["decode_ms"] = decode * 1000;
  done["total_ms"] = (prefill + decode) * 1000;
  done["prefill_tok_s"] = per_second(static_cast<double>(evaluated), prefill);
  done["decode_tok_s"] = per_second(static_cast<double>(ids.size()), decode);
  return done;
}

}  // namespace diptych::serve
