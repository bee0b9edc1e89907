// Rows as JSON and CSV.
#include "measure/report.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/json.h"
#include "measure/limits.h"

namespace diptych::measure {
namespace {

using ::testing::ElementsAre;

Report sample_report() {
  Row decode;
  decode.model = "a.pte";
  decode.test = {TestCase::Kind::Decode, 128, 512};
  decode.threads = 2;
  decode.samples = {10, 20, 40};
  decode.bytes_per_token = 1e9;
  decode.operations_per_token = 2e9;
  decode.limit = 80e9;
  decode.limit_is = kMemoryReadLimit;
  decode.start = {0.5, 0.75, 4096};
  Row prefill = decode;
  prefill.test = {TestCase::Kind::Prefill, 64, 0};
  prefill.limit_is = kFmaLimit;
  prefill.profile = Profile{64,
                            2,
                            {{"prefill", "cpu.linear", 3, 4, 0.5, 1'000'000'000, 3'000'000'000},
                             {"prefill", "outputs", -1, 4, 1, 0, 0}}};
  Row skipped = decode;
  skipped.test = {TestCase::Kind::Decode, 128, 4096};
  skipped.samples.clear();
  skipped.skipped = "needs 4224 positions, the context has 1024";
  Report report;
  report.machine = "Abacus \"2\"";
  report.rows = {decode, prefill, skipped};
  return report;
}

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> result;
  for (const auto& item : object.items()) result.push_back(item.key());
  return result;
}

TEST(Report, JsonHasOneShapeForAllRows) {
  const Json rows = to_json(sample_report());
  ASSERT_TRUE(rows.is_array());
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_THAT(
      keys(rows[0]),
      ElementsAre("model", "test", "threads", "numerics", "median", "mean", "sd", "samples",
                  "bytes_per_token", "operations_per_token", "gb_per_s", "gop_per_s", "limit",
                  "limit_is", "pct_of_limit", "skipped", "plain", "speedup", "drafted_tokens",
                  "accepted_tokens", "acceptance", "tokens_per_step", "load_seconds",
                  "first_token_seconds", "peak_memory_bytes", "machine", "profile"));
  for (const Json& row : rows) EXPECT_EQ(keys(row), keys(rows[0]));
}

TEST(Report, JsonOfADecodeTest) {
  const Json row = to_json(sample_report())[0];
  EXPECT_EQ(row["model"], "a.pte");
  EXPECT_EQ(row["test"], "tg128@512");
  EXPECT_EQ(row["threads"], 2);
  EXPECT_EQ(row["numerics"], "precise");
  EXPECT_EQ(row["median"], 20);
  EXPECT_EQ(row["samples"], Json({10, 20, 40}));
  EXPECT_EQ(row["gb_per_s"], 20);
  EXPECT_EQ(row["bytes_per_token"], 1e9);
  EXPECT_EQ(row["operations_per_token"], 2e9);
  EXPECT_EQ(row["gop_per_s"], 40);
  EXPECT_EQ(row["limit"], 80);
  EXPECT_EQ(row["limit_is"], "memory reads");
  EXPECT_EQ(row["pct_of_limit"], 25);
  EXPECT_EQ(row["skipped"], nullptr);
  EXPECT_EQ(row["load_seconds"], 0.5);
  EXPECT_EQ(row["first_token_seconds"], 0.75);
  EXPECT_EQ(row["peak_memory_bytes"], 4096);
  EXPECT_EQ(row["machine"], "Abacus \"2\"");
}

TEST(Report, JsonOfAPrefillTest) {
  const Json row = to_json(sample_report())[1];
  EXPECT_EQ(row["gop_per_s"], 40);
  EXPECT_EQ(row["gb_per_s"], 20);
  EXPECT_EQ(row["pct_of_limit"], 50);
  EXPECT_EQ(row["limit_is"], "fp32 multiply-adds");
}

TEST(Report, JsonOfAProfile) {
  const Json rows = to_json(sample_report());
  EXPECT_EQ(rows[0]["profile"], nullptr);
  EXPECT_EQ(rows[1]["profile"].dump(),
            R"({"tokens":64,"seconds":2.0,"seconds_outside":0.5,"steps":[)"
            R"({"function":"prefill","op":"cpu.linear","layer":3,"calls":4,"seconds":0.5,)"
            R"("pct_of_time":25.0,"gb_per_s":2.0,"gop_per_s":12.0},)"
            R"({"function":"prefill","op":"outputs","layer":null,"calls":4,"seconds":1.0,)"
            R"("pct_of_time":50.0,"gb_per_s":null,"gop_per_s":null}]})");
}

TEST(Report, JsonOfASkippedTest) {
  const Json row = to_json(sample_report())[2];
  EXPECT_EQ(row["skipped"], "needs 4224 positions, the context has 1024");
  for (const char* key : {"median", "mean", "sd", "bytes_per_token", "operations_per_token",
                          "gb_per_s", "gop_per_s", "limit", "pct_of_limit"})
    EXPECT_EQ(row[key], nullptr) << key;
  EXPECT_EQ(row["samples"], Json::array());
}

TEST(Report, CsvHasTheKeysAsColumns) {
  const std::string csv = to_csv(sample_report());
  EXPECT_EQ(csv.substr(0, csv.find('\n')),
            "model,test,threads,numerics,median,mean,sd,samples,bytes_per_token,"
            "operations_per_token,gb_per_s,gop_per_s,limit,limit_is,pct_of_limit,skipped,"
            "plain,speedup,drafted_tokens,accepted_tokens,acceptance,tokens_per_step,load_seconds,"
            "first_token_seconds,peak_memory_bytes,machine");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);
  const size_t last = csv.rfind("a.pte");
  EXPECT_EQ(
      csv.substr(last),
      "a.pte,tg128@4096,2,precise,,,,,,,,,,memory reads,,"
      "\"needs 4224 positions, the context has 1024\",,,,,,,0.5,0.75,4096,\"Abacus \"\"2\"\"\"\n");
  EXPECT_NE(csv.find(",10.0 20.0 40.0,"), csv.npos);
  EXPECT_EQ(to_csv({}), "");
}

}  // namespace
}  // namespace diptych::measure
