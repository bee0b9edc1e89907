#include "openai/parameters.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "openai/error.h"
#include "testing/shared_data.h"

namespace diptych::openai {
namespace {

Json parsed(const char* text) { return parse_json(text).value(); }

TEST(Parameters, TellTypesAndRanges) {
  const Json object = parsed(R"({"a": 1, "b": 0.5, "c": "x", "d": true, "e": null, "f": [1]})");
  Parameters parameters = Parameters::of(object, "").value();
  EXPECT_EQ(parameters.integer("a", 0, 5).value(), 1);
  EXPECT_EQ(parameters.number("a", 0, 5).value(), 1.0);
  EXPECT_EQ(parameters.number("b", 0, 1).value(), 0.5);
  EXPECT_EQ(parameters.string("c").value(), "x");
  EXPECT_EQ(parameters.boolean("d").value(), true);
  EXPECT_EQ(parameters.boolean("e").value(), std::nullopt);
  EXPECT_EQ(parameters.string("missing").value(), std::nullopt);
  const auto message = [](const auto& result) {
    return result ? std::string("no error") : result.error().to_string();
  };
  EXPECT_EQ(message(parameters.integer("a", 2, 5)), "a: expected an integer from 2 to 5, found 1");
  EXPECT_EQ(message(parameters.integer("b", 0, 5)),
            "b: expected an integer from 0 to 5, found 0.5");
  EXPECT_EQ(message(parameters.number("c", 0, 1)), "c: expected a number from 0 to 1, found \"x\"");
  EXPECT_EQ(message(parameters.string("f")), "f: expected a string, found a list");
  EXPECT_EQ(message(parameters.need("g")), "g: this parameter is needed");
}

TEST(Parameters, RefuseWhatNobodyRead) {
  const Json object = parsed(R"({"a": 1, "aa": null, "b": 2})");
  Parameters parameters = Parameters::of(object, "x[0].").value();
  parameters.find("a");
  const Status status = parameters.finish();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().context, "x[0].b");
  parameters.ignore({"b"});
  EXPECT_TRUE(parameters.finish());
  EXPECT_FALSE(Parameters::of(parsed("[1]"), "x."));
}

TEST(Errors, AreOpenAIsObjects) {
  const Status wrong = wrong_parameter("n", "is {}", 0);
  EXPECT_EQ(status_of(wrong.error()), 400);
  EXPECT_EQ(
      dump_json(error_json(wrong.error())),
      R"({"error":{"message":"n: is 0","type":"invalid_request_error","param":"n","code":null}})");
  EXPECT_EQ(
      dump_json(error_json(429, "later", "queue_full")),
      R"({"error":{"message":"later","type":"rate_limit_error","param":null,"code":"queue_full"}})");
  const Status internal = fail(ErrorCode::Internal, "oops");
  EXPECT_EQ(status_of(internal.error()), 500);
}

}  // namespace
}  // namespace diptych::openai
