#include "openai/messages.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "testing/shared_data.h"

namespace diptych::openai {
namespace {

using answer::Role;

Json json(const char* text) { return parse_json(text).value(); }

std::string problem(const char* messages) {
  const auto read = read_messages(json(messages), "messages");
  return read ? "none" : read.error().to_string();
}

TEST(Messages, AreRead) {
  const auto read = read_messages(json(R"([
      {"role": "developer", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
      {"role": "tool", "tool_call_id": "1", "content": "ok"}])"),
                                  "messages");
  ASSERT_OK(read);
  const auto& messages = read->messages;
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].role, Role::System);
  EXPECT_EQ(messages[1].content, "ab");
  EXPECT_EQ(messages[2].calls[0].arguments, "{\"x\": 1}");
  EXPECT_EQ(messages[3].call_id, "1");
}

TEST(Messages, ErrorsNameTheMember) {
  EXPECT_EQ(problem("{}"), "messages: expected a list, found an object");
  EXPECT_EQ(problem("[]"), "messages: expected at least one message");
  EXPECT_EQ(problem("[1]"), "messages[0]: expected an object, found 1");
  EXPECT_EQ(problem(R"([{"role": "user"}])"), "messages[0].content: this parameter is needed");
  EXPECT_EQ(problem(R"([{"role": "king", "content": "x"}])"),
            "messages[0].role: expected \"system\", \"developer\", \"user\", \"assistant\" or "
            "\"tool\", found \"king\"");
  EXPECT_EQ(problem(R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])"),
            "messages[0].content[0].type: expected \"text\": the model reads nothing else, found "
            "\"image_url\"");
  EXPECT_EQ(problem(R"([{"role": "user", "content": "x", "mood": 1}])"),
            "messages[0].mood: this parameter is not supported");
}

TEST(Tools, AreChecked) {
  EXPECT_TRUE(check_tools(json(
      R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])")));
  const auto error = [](const char* tools) { return check_tools(json(tools)).error().context; };
  EXPECT_EQ(error(R"([{"type": "code"}])"), "tools[0].type");
  EXPECT_EQ(error(R"([{"type": "function", "function": {"name": "a b"}}])"),
            "tools[0].function.name");
  EXPECT_EQ(error(R"([{"type": "function", "function": {"name": "a", "parameters": 1}}])"),
            "tools[0].function.parameters");
}

}  // namespace
}  // namespace diptych::openai
