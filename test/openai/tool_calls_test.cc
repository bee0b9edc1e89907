#include "openai/tool_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "grammar/matching.h"
#include "testing/shared_data.h"

namespace diptych::openai {
namespace {

struct Scanned {
  std::string text;
  std::vector<std::pair<std::string, std::string>> calls;  // name, arguments
};

// The same whatever pieces the answer comes in.
Scanned scan(CallForm form, const std::string& answer) {
  Scanned first;
  for (size_t size : {answer.size() + 1, size_t{1}, size_t{3}, size_t{7}}) {
    CallScanner scanner(form);
    Scanned result;
    for (size_t at = 0; at < answer.size(); at += size) {
      result.text += scanner.add(answer.substr(at, size));
    }
    result.text += scanner.finish();
    for (const answer::ToolCall& call : scanner.take_calls()) {
      EXPECT_TRUE(call.id.starts_with("call_"));
      result.calls.emplace_back(call.name, call.arguments);
    }
    if (size > answer.size()) {
      first = result;
    } else {
      EXPECT_EQ(result.text, first.text) << size;
      EXPECT_EQ(result.calls, first.calls) << size;
    }
  }
  return first;
}

using Calls = std::vector<std::pair<std::string, std::string>>;

TEST(CallScanner, FindsCallsInTags) {
  const Scanned scanned =
      scan(CallForm::Tags,
           "I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": [1]}}\n</tool_call>\n"
           "<tool_call>{\"name\":\"g\",\"arguments\":{}}</tool_call>");
  EXPECT_EQ(scanned.text, "I look.");
  EXPECT_EQ(scanned.calls, (Calls{{"f", "{\"x\":[1]}"}, {"g", "{}"}}));
}

TEST(CallScanner, TextStaysText) {
  for (const char* text : {"a < b <tool", "<tool_call", "a\n\n", "<tool_call>no json</tool_call>",
                           "<tool_call>{\"name\": 1}</tool_call> b", "<tool_call>{\"name\":"}) {
    const Scanned scanned = scan(CallForm::Tags, text);
    EXPECT_EQ(scanned.text, text);
    EXPECT_TRUE(scanned.calls.empty());
  }
}

TEST(CallScanner, TheClosingTagMayBeMissing) {
  for (const char* end : {"", "\n", "<", "\n</tool_call"}) {
    const Scanned scanned =
        scan(CallForm::Tags, std::string("<tool_call>{\"name\":\"f\",\"arguments\":{}}") + end);
    EXPECT_EQ(scanned.text, "");
    EXPECT_EQ(scanned.calls, (Calls{{"f", "{}"}}));
  }
}

TEST(CallScanner, FindsACallThatIsTheWholeAnswer) {
  const Scanned scanned = scan(CallForm::Json, "\n{\"name\": \"f\", \"parameters\": {\"x\": 1}}");
  EXPECT_EQ(scanned.text, "");
  EXPECT_EQ(scanned.calls, (Calls{{"f", "{\"x\":1}"}}));
  for (const char* text : {"{\"a\": 1}", "It is {\"name\": 1}", "{", ""}) {
    EXPECT_EQ(scan(CallForm::Json, text).text, text);
  }
}

// What answers are held to is what the scanner takes for a call.
TEST(GrammarOfCalls, AllowsWhatTheScannerFinds) {
  const Json tools = parse_json(R"([
      {"type": "function", "function": {"name": "f", "parameters": {
          "type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}},
      {"type": "function", "function": {"name": "g"}}])")
                         .value();
  const std::pair<CallForm, std::pair<std::string, std::string>> forms[] = {
      {CallForm::Tags,
       {"<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\":1}}\n</tool_call>",
        "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>"}},
      {CallForm::Json,
       {"{\"name\": \"f\", \"parameters\": {\"x\":1}}", "{\"name\": \"g\", \"parameters\": {}}"}}};
  for (const auto& [form, texts] : forms) {
    const auto any = grammar_of_calls(tools, "", form), one = grammar_of_calls(tools, "g", form);
    ASSERT_OK(any);
    ASSERT_OK(one);
    EXPECT_TRUE(grammar::matches(*any, texts.first)) << texts.first;
    EXPECT_TRUE(grammar::matches(*any, texts.second)) << texts.second;
    EXPECT_FALSE(grammar::matches(*one, texts.first));
    EXPECT_TRUE(grammar::matches(*one, texts.second));
    EXPECT_EQ(scan(form, texts.first).calls, (Calls{{"f", "{\"x\":1}"}}));
    EXPECT_EQ(scan(form, texts.second).calls, (Calls{{"g", "{}"}}));
  }
}

TEST(GrammarOfCalls, RefusesWhatItCannotKeepTo) {
  Json tools = parse_json(R"([{"type": "function", "function": {"name": "f", "strict": true,
      "parameters": {"type": "array", "uniqueItems": true}}}])")
                   .value();
  EXPECT_EQ(grammar_of_calls(tools, "g", CallForm::Tags).error().context, "tool_choice");
  EXPECT_EQ(grammar_of_calls(tools, "f", CallForm::Tags).error().context, "tools");
  tools[0]["function"].erase("strict");
  EXPECT_TRUE(grammar_of_calls(tools, "f", CallForm::Tags));
}

TEST(CallForm, IsReadOffTheTemplate) {
  EXPECT_EQ(call_form_of("… <tool_call> …"), CallForm::Tags);
  EXPECT_EQ(call_form_of("{% if tools %} … \"parameters\" …"), CallForm::Json);
}

}  // namespace
}  // namespace diptych::openai
