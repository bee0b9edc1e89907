// What was said in a conversation, and the file that keeps it.
//
// The file is a JSON object: "format" is "diptych.chat", "version" 1, and "messages" a list of
// objects with "role" and "content" as chat interfaces use them: a "system" message or none, then
// "user" and "assistant" in turn.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::chat {

struct Turn {
  std::string user, assistant;
  bool operator==(const Turn&) const = default;
};

struct Transcript {
  std::string system;  // empty: none
  std::vector<Turn> turns;
  bool operator==(const Transcript&) const = default;
};

// The list of messages; contents that are not UTF-8 have no JSON.
Json messages_of(const Transcript& transcript);

// The file's text, and back. Errors say which message is not as described above.
std::string format_transcript(const Transcript& transcript);
Result<Transcript> parse_transcript(std::string_view file);

}  // namespace diptych::chat
