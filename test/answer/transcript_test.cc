#include "answer/transcript.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "testing/shared_data.h"

namespace diptych::answer {
namespace {

Message user(const std::string& text) { return {Role::User, text}; }
Message assistant(const std::string& text) { return {Role::Assistant, text}; }
Message system(const std::string& text) { return {Role::System, text}; }

// A turn with two calls at once, and one after their results.
std::vector<Message> tool_turn() {
  return {user("How warm is it?"),
          {Role::Assistant,
           "Let me see.",
           {{"a1", "weather", R"({"town":"Rome","days":[1,2.5]})"}, {"", "clock", "none"}}},
          {Role::Tool, "31", {}, "a1", "weather"},
          {Role::Tool, "noon"},
          {Role::Assistant, "", {{"a2", "log", "{}"}}},
          {Role::Tool, "", {}, "a2"},
          assistant("31 degrees.")};
}

TEST(Transcript, IsItselfAfterARoundTrip) {
  const std::vector<Transcript> transcripts = {
      {},
      {{system("Be brief.")}},
      {{user("Hello"), assistant("Hi")}},
      {{system("Be \"brief\".\n"), user("a\\b"), assistant("\xC3\xA9\xE2\x82\xAC"), user(""),
        assistant(""), user("x\ty"), assistant("z")}},
      {tool_turn()}};
  for (const Transcript& transcript : transcripts) {
    const std::string file = format_transcript(transcript);
    const auto read = parse_transcript(file);
    ASSERT_OK(read);
    EXPECT_EQ(*read, transcript) << file;
    EXPECT_EQ(format_transcript(*read), file);
  }
}

TEST(Transcript, IsWrittenAsChatMessages) {
  EXPECT_EQ(format_transcript({{system("S"), user("U"), assistant("A")}}),
            R"({
  "format": "diptych.chat",
  "version": 1,
  "messages": [
    {
      "role": "system",
      "content": "S"
    },
    {
      "role": "user",
      "content": "U"
    },
    {
      "role": "assistant",
      "content": "A"
    }
  ]
}
)");
}

TEST(Transcript, GivesCallsToTemplatesAsObjects) {
  const Json messages = template_messages({tool_turn()});
  EXPECT_EQ(dump_json(messages[1]),
            R"({"role":"assistant","content":"Let me see.","tool_calls":[)"
            R"({"id":"a1","type":"function","function":{"name":"weather",)"
            R"("arguments":{"town":"Rome","days":[1,2.5]}}},)"
            R"({"type":"function","function":{"name":"clock","arguments":"none"}}]})");
  EXPECT_EQ(dump_json(messages[2]),
            R"({"role":"tool","content":"31","tool_call_id":"a1","name":"weather"})");
  EXPECT_EQ(dump_json(messages[3]), R"({"role":"tool","content":"noon"})");
}

TEST(Transcript, ReadsCallsAsChatInterfacesWriteThem) {
  const auto read = parse_transcript(R"({"format": "diptych.chat", "version": 1, "messages": [
    {"role": "user", "content": "x"},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
      {"function": {"name": "g", "arguments": "{\"a\": 1}"}}]}]})");
  ASSERT_OK(read);
  EXPECT_EQ(read->messages[1],
            (Message{Role::Assistant, "", {{"1", "f", R"({"a":1})"}, {"", "g", R"({"a": 1})"}}}));
}

TEST(Transcript, DropsWholeTurns) {
  Transcript transcript{{system("S"), user("a"), assistant("b")}};
  const std::vector<Message> turn = tool_turn();
  transcript.messages.insert(transcript.messages.end(), turn.begin(), turn.end());
  EXPECT_EQ(transcript.turns(), 2u);
  Transcript newer = transcript;
  newer.drop_oldest(0);
  EXPECT_EQ(newer, transcript);
  newer.drop_oldest(1);
  Transcript expected{turn};
  expected.messages.insert(expected.messages.begin(), system("S"));
  EXPECT_EQ(newer, expected);
  newer.drop_oldest(9);
  EXPECT_EQ(newer, (Transcript{{system("S")}}));
  EXPECT_TRUE(transcript.drop_last());
  EXPECT_EQ(transcript, (Transcript{{system("S"), user("a"), assistant("b")}}));
  EXPECT_TRUE(transcript.drop_last());
  EXPECT_FALSE(transcript.drop_last());
  EXPECT_EQ(transcript, (Transcript{{system("S")}}));
}

std::string error_of(std::string_view file) {
  const auto read = parse_transcript(file);
  return read ? "" : read.error().to_string();
}

std::string error_of_messages(const std::string& messages) {
  return error_of(R"({"format": "diptych.chat", "version": 1, "messages": )" + messages + "}");
}

TEST(Transcript, RefusesOtherFiles) {
  EXPECT_NE(error_of(""), "");
  EXPECT_NE(error_of("{\"format\""), "");
  EXPECT_EQ(error_of("[]"), "no conversation: expected a JSON object");
  EXPECT_NE(error_of("{}"), "");
  EXPECT_EQ(error_of(R"({"format": "x"})"),
            "no conversation: \"format\" is \"x\", expected \"diptych.chat\"");
  EXPECT_EQ(error_of(R"({"format": "diptych.chat", "version": 2})"),
            "version 2 of saved conversations, known is 1");
  EXPECT_NE(error_of(R"({"format": "diptych.chat", "version": "1"})"), "");
  EXPECT_NE(error_of(R"({"format": "diptych.chat", "version": 1})"), "");
}

TEST(Transcript, RefusesMessagesInAnotherOrder) {
  EXPECT_EQ(error_of_messages("{}"), "\"messages\" is no list");
  EXPECT_NE(error_of_messages("[1]"), "");
  EXPECT_NE(error_of_messages(R"([{"role": 1, "content": "x"}])"), "");
  EXPECT_NE(error_of_messages(R"([{"role": "system"}])"), "");
  EXPECT_EQ(error_of_messages(R"([{"role": "user", "content": "x"}])"),
            "the last message has no answer");
  EXPECT_EQ(error_of_messages(R"([{"role": "assistant", "content": "x"}])"),
            "message 0: role is \"assistant\", expected \"user\"");
  EXPECT_EQ(error_of_messages(R"([{"role": "user", "content": "x"},
                                  {"role": "user", "content": "y"}])"),
            "message 1: role is \"user\", expected \"assistant\"");
  EXPECT_EQ(error_of_messages(R"([{"role": "user", "content": "x"},
                                  {"role": "assistant", "content": "y"},
                                  {"role": "system", "content": "y"}])"),
            "message 2: role is \"system\", expected \"user\"");
  EXPECT_EQ(error_of_messages(R"([{"role": "user", "content": "x"},
                                  {"role": "assistant", "content": "y"},
                                  {"role": "tool", "content": "y"}])"),
            "message 2: role is \"tool\", expected \"user\"");
  const std::string call = R"({"role": "user", "content": "x"}, {"role": "assistant",
                               "tool_calls": [{"function": {"name": "f"}}]})";
  EXPECT_EQ(error_of_messages("[" + call + "]"), "");
  EXPECT_EQ(error_of_messages("[" + call + R"(, {"role": "assistant", "content": "y"}])"),
            "message 2: role is \"assistant\", expected \"tool\" or \"user\"");
  EXPECT_EQ(error_of_messages("[" + call + R"(, {"role": "tool", "content": "y"}])"),
            "the last message has no answer");
  EXPECT_EQ(error_of_messages(R"([{"role": "developer", "content": "x"}])"),
            "message 0: role is \"developer\", expected \"user\", \"assistant\" or \"tool\"");
}

TEST(Transcript, RefusesDamagedCalls) {
  const auto error_of_calls = [](const std::string& calls) {
    return error_of_messages(R"([{"role": "user", "content": "x"},
                                 {"role": "assistant", "content": "", "tool_calls": )" +
                             calls + "}]");
  };
  EXPECT_EQ(error_of_calls("[]"), "");
  EXPECT_EQ(error_of_calls("null"), "");
  EXPECT_EQ(error_of_calls("{}"), "message 1: \"tool_calls\" is no list");
  EXPECT_EQ(error_of_calls("[1]"), "message 1: call 0: no object");
  EXPECT_EQ(error_of_calls(R"([{"function": 1}])"), "message 1: call 0: \"function\" is no object");
  EXPECT_EQ(error_of_calls(R"([{"type": "x", "function": {"name": "f"}}])"),
            "message 1: call 0: type is \"x\", expected \"function\"");
  EXPECT_NE(error_of_calls(R"([{"id": 1, "function": {"name": "f"}}])"), "");
  EXPECT_NE(error_of_calls(R"([{"function": {}}])"), "");
  EXPECT_NE(error_of_calls(R"([{"function": {"name": "f", "arguments": [1]}}])"), "");
}

}  // namespace
}  // namespace diptych::answer
