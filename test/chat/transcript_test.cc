#include "chat/transcript.h"

#include <gtest/gtest.h>

#include "testing/shared_data.h"

namespace diptych::chat {
namespace {

TEST(Transcript, IsItselfAfterARoundTrip) {
  const std::vector<Transcript> transcripts = {
      {},
      {"Be brief.", {}},
      {"", {{"Hello", "Hi"}}},
      {"Be \"brief\".\n", {{"a\\b", "\xC3\xA9\xE2\x82\xAC"}, {"", ""}, {"x\ty", "z"}}}};
  for (const Transcript& transcript : transcripts) {
    const std::string file = format_transcript(transcript);
    const auto read = parse_transcript(file);
    ASSERT_OK(read);
    EXPECT_EQ(*read, transcript) << file;
    EXPECT_EQ(format_transcript(*read), file);
  }
}

TEST(Transcript, IsWrittenAsChatMessages) {
  EXPECT_EQ(format_transcript({"S", {{"U", "A"}}}),
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
}

}  // namespace
}  // namespace diptych::chat
