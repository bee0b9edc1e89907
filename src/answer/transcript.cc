#include "answer/transcript.h"

#include <algorithm>
#include <array>

#include "base/in_quotes.h"
#include "base/json.h"

namespace diptych::answer {

namespace {

constexpr std::string_view kFormat = "diptych.chat";
constexpr int64_t kVersion = 1;
constexpr std::array kRoles = {Role::System, Role::User, Role::Assistant, Role::Tool};

bool begins_turn(const Message& message) { return message.role == Role::User; }

// How the arguments of a call are written.
using WriteArguments = Json (*)(const std::string& arguments);

Json arguments_text(const std::string& arguments) { return arguments; }

Json arguments_object(const std::string& arguments) {
  Result<Json> json = parse_json(arguments);
  return json && json->is_object() ? std::move(*json) : Json(arguments);
}

Json to_json(const Message& message, WriteArguments write) {
  Json json = {{"role", name(message.role)}, {"content", message.content}};
  if (!message.calls.empty()) {
    Json& calls = json["tool_calls"] = Json::array();
    for (const ToolCall& call : message.calls) {
      calls.push_back(call_json(call));
      calls.back()["function"]["arguments"] = write(call.arguments);
    }
  }
  if (!message.call_id.empty()) json["tool_call_id"] = message.call_id;
  if (!message.tool.empty()) json["name"] = message.tool;
  return json;
}

Json to_json(const Transcript& transcript, WriteArguments write) {
  Json messages = Json::array();
  for (const Message& message : transcript.messages) messages.push_back(to_json(message, write));
  return messages;
}

// The value of a key; null when it is missing.
const Json& member_of(const Json& object, const char* key) {
  static const Json kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

// A text that may be missing.
Result<std::string> optional_string(const Json& object, const char* key) {
  return member_of(object, key).is_null() ? std::string() : json_string(object, key);
}

Result<ToolCall> read_call(const Json& json) {
  if (!json.is_object()) return invalid_data("no object");
  ToolCall call;
  call.id = TRY(optional_string(json, "id"));
  const std::string type = TRY(optional_string(json, "type"));
  if (!type.empty() && type != "function") {
    return invalid_data("type is {}, expected \"function\"", in_quotes(type));
  }
  const Json& function = *TRY(json_member(json, "function"));
  if (!function.is_object()) return invalid_data("\"function\" is no object");
  call.name = TRY(json_string(function, "name"));
  const Json& arguments = member_of(function, "arguments");
  call.arguments =
      arguments.is_object() ? dump_json(arguments) : TRY(optional_string(function, "arguments"));
  return call;
}

Result<Role> read_role(const Json& json) {
  const std::string found = TRY(json_string(json, "role"));
  const auto role = std::ranges::find(kRoles, std::string_view(found), name);
  if (role != kRoles.end()) return *role;
  return invalid_data("role is {}, expected \"user\", \"assistant\" or \"tool\"", in_quotes(found));
}

// A message that comes after those of `transcript`.
Result<Message> read_message(const Json& json, const Transcript& transcript) {
  Message message;
  message.role = TRY(read_role(json));
  TRY(check_next(transcript, message.role));
  if (message.role == Role::Assistant) {
    const Json& calls = member_of(json, "tool_calls");
    if (!calls.is_null() && !calls.is_array()) return invalid_data("\"tool_calls\" is no list");
    for (const Json& call : calls) {
      message.calls.push_back(
          TRY(within(fmt::format("call {}", message.calls.size()), read_call(call))));
    }
  }
  if (message.role == Role::Tool) {
    message.call_id = TRY(optional_string(json, "tool_call_id"));
    message.tool = TRY(optional_string(json, "name"));
  }
  message.content =
      TRY(message.calls.empty() ? json_string(json, "content") : optional_string(json, "content"));
  return message;
}

}  // namespace

std::string_view name(Role role) {
  switch (role) {
    case Role::System:
      return "system";
    case Role::User:
      return "user";
    case Role::Assistant:
      return "assistant";
    case Role::Tool:
      return "tool";
  }
  return "";
}

Json call_json(const ToolCall& call) {
  Json json = Json::object();
  if (!call.id.empty()) json["id"] = call.id;
  json["type"] = "function";
  json["function"] = {{"name", call.name}, {"arguments", call.arguments}};
  return json;
}

size_t Transcript::turns() const {
  return static_cast<size_t>(std::ranges::count_if(messages, begins_turn));
}

void Transcript::drop_oldest(size_t turns) {
  const auto first = messages.begin() + (has_system() ? 1 : 0);
  auto end = first;
  for (; end != messages.end(); ++end) {
    if (begins_turn(*end) && turns-- == 0) break;
  }
  messages.erase(first, end);
}

bool Transcript::drop_last() {
  const auto begin = std::find_if(messages.rbegin(), messages.rend(), begins_turn);
  if (begin == messages.rend()) return false;
  messages.erase(begin.base() - 1, messages.end());
  return true;
}

Status check_next(const Transcript& transcript, Role next) {
  const Message* last = transcript.messages.empty() ? nullptr : &transcript.messages.back();
  const auto fails = [next](std::string_view expected) {
    return invalid_data("role is \"{}\", expected {}", name(next), expected);
  };
  switch (last == nullptr ? Role::System : last->role) {
    case Role::System:
      if (next == Role::User || (last == nullptr && next == Role::System)) return {};
      return fails("\"user\"");
    case Role::User:
      if (next == Role::Assistant) return {};
      return fails("\"assistant\"");
    case Role::Assistant:
      if (next == Role::User || (next == Role::Tool && !last->calls.empty())) return {};
      return fails(last->calls.empty() ? "\"user\"" : "\"tool\" or \"user\"");
    case Role::Tool:
      if (next == Role::Tool || next == Role::Assistant) return {};
      return fails("\"tool\" or \"assistant\"");
  }
  return {};
}

Json template_messages(const Transcript& transcript) {
  return to_json(transcript, arguments_object);
}

std::string format_transcript(const Transcript& transcript) {
  const Json file = {{"format", kFormat},
                     {"version", kVersion},
                     {"messages", to_json(transcript, arguments_text)}};
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
  for (const Json& message : messages) {
    transcript.messages.push_back(TRY(within(fmt::format("message {}", transcript.messages.size()),
                                             read_message(message, transcript))));
  }
  const Role last = transcript.messages.empty() ? Role::System : transcript.messages.back().role;
  if (last == Role::User || last == Role::Tool) {
    return invalid_data("the last message has no answer");
  }
  return transcript;
}

}  // namespace diptych::answer
