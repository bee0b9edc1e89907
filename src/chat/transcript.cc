#include "chat/transcript.h"

#include "base/in_quotes.h"
#include "base/json.h"

namespace diptych::chat {

namespace {

constexpr std::string_view kFormat = "diptych.chat";
constexpr int64_t kVersion = 1;

Json message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

// The content of a message that must be of `role`.
Result<std::string> content_of(const Json& message, std::string_view role) {
  const std::string found = TRY(json_string(message, "role"));
  if (found != role) return invalid_data("role is {}, expected \"{}\"", in_quotes(found), role);
  return json_string(message, "content");
}

Result<std::string> content_at(const Json& messages, size_t index, std::string_view role) {
  return within(fmt::format("message {}", index), content_of(messages[index], role));
}

}  // namespace

Json messages_of(const Transcript& transcript) {
  Json messages = Json::array();
  if (!transcript.system.empty()) messages.push_back(message("system", transcript.system));
  for (const Turn& turn : transcript.turns) {
    messages.push_back(message("user", turn.user));
    messages.push_back(message("assistant", turn.assistant));
  }
  return messages;
}

std::string format_transcript(const Transcript& transcript) {
  const Json file = {
      {"format", kFormat}, {"version", kVersion}, {"messages", messages_of(transcript)}};
  return dump_json(file, 2) + "\n";
}

Result<Transcript> parse_transcript(std::string_view file) {
  const Json json = TRY(parse_json(file));
  if (!json.is_object()) return invalid_data("no conversation: expected a JSON object");
  const std::string format = TRY(json_string(json, "format"));
  if (format != kFormat) {
    return invalid_data("no conversation: \"format\" is {}, expected \"{}\"", in_quotes(format),
                        kFormat);
  }
  const int64_t version = TRY(json_int(json, "version"));
  if (version != kVersion) {
    return unsupported("version {} of saved conversations, known is {}", version, kVersion);
  }
  const Json& messages = *TRY(json_member(json, "messages"));
  if (!messages.is_array()) return invalid_data("\"messages\" is no list");

  Transcript transcript;
  size_t next = 0;
  const bool has_system =
      !messages.empty() && messages[0].is_object() && messages[0].value("role", Json()) == "system";
  if (has_system) transcript.system = TRY(content_at(messages, next++, "system"));
  while (next < messages.size()) {
    Turn turn;
    turn.user = TRY(content_at(messages, next++, "user"));
    if (next == messages.size()) return invalid_data("the last message has no answer");
    turn.assistant = TRY(content_at(messages, next++, "assistant"));
    transcript.turns.push_back(std::move(turn));
  }
  return transcript;
}

}  // namespace diptych::chat
