// What was said in a conversation, and the file that keeps it.
//
// The file is a JSON object: "format" is "diptych.chat", "version" 1, and "messages" a list of
// objects with "role" and "content" as chat interfaces use them: a "system" message or none, then
// turns. A turn is a "user" message and what follows it: an "assistant" message, or several with
// the "tool" messages that answer their "tool_calls" in between.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::answer {

enum class Role : uint8_t { System, User, Assistant, Tool };
std::string_view name(Role role);

// A function that the assistant wants called.
struct ToolCall {
  std::string id = {};         // empty: none
  std::string name = {};       // of the function
  std::string arguments = {};  // JSON as the model wrote it, so perhaps none
  bool operator==(const ToolCall&) const = default;
};

struct Message {
  Role role = Role::User;
  std::string content = {};
  std::vector<ToolCall> calls = {};  // of an assistant
  std::string call_id = {};          // of a tool: the call that it answers; empty: not said
  std::string tool = {};             // of a tool: its name; empty: not said
  bool operator==(const Message&) const = default;
};

struct Transcript {
  std::vector<Message> messages;
  bool operator==(const Transcript&) const = default;

  bool has_system() const { return !messages.empty() && messages[0].role == Role::System; }
  size_t turns() const;  // messages of the user
  // Takes the oldest turns away, at most all; a system message stays.
  void drop_oldest(size_t turns);
  // Takes the last turn away; false when there is none.
  bool drop_last();
};

// A call as chat interfaces write it: "id" if it has one, "type", and "function" with "name" and
// "arguments", which are a text.
Json call_json(const ToolCall& call);

// Fails when a message of `next` cannot come after those of the transcript.
Status check_next(const Transcript& transcript, Role next);

// The list of messages as chat templates want it, where the arguments of calls are objects (or
// texts, where the model wrote no object). Contents that are not UTF-8 have no JSON.
Json template_messages(const Transcript& transcript);

// The file's text, and back, in which arguments are texts. Errors say which message is not as
// described above. Arguments that are objects are read as well.
std::string format_transcript(const Transcript& transcript);
Result<Transcript> parse_transcript(std::string_view file);

}  // namespace diptych::answer
