// Plans beside single functions, of the demo model.
#include "measure/plans.h"

#include <gmock/gmock.h>

#include "base/json.h"
#include "exporter/export.h"
#include "testing/shared_data.h"

namespace diptych::measure {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(Plans, AreMeasuredBesideEachFunction) {
  exporter::Options options;
  options.max_context_len = 64;
  options.multifunction = true;
  options.prefill_lens = {8, 32};
  options.verify_len = 4;
  const std::string path = testing::temporary_directory() + "/ladder.pte";
  Progress silent;
  ASSERT_OK(exporter::export_files(testing::source_path("demo/model.pth"),
                                   testing::source_path("demo/params.json"), path, options,
                                   silent));
  const auto report = measure_plans({path, {0, 1, 3, 40, 64, 65}, 1, 2}, silent);
  ASSERT_OK(report);
  EXPECT_FALSE(report->interrupted);
  ASSERT_THAT(report->rows, SizeIs(4));  // 0 and 65 are no prompts of this context
  for (const PlanRow& row : report->rows) {
    // Two of each way, where ways that are the same calls are counted together.
    int64_t measurements = 0;
    for (const auto& [calls, time] : row.times) {
      EXPECT_GT(time.seconds, 0) << calls;
      measurements += time.measurements;
    }
    EXPECT_THAT(row.alone, SizeIs(row.tokens > 4 ? 3 : 4)) << row.tokens;
    EXPECT_EQ(measurements, 2 * (1 + std::ssize(row.alone)));
    EXPECT_TRUE(row.times.contains(row.planned));
    EXPECT_GT(row.ratio(&LeastTime::seconds), 0);
  }
  EXPECT_EQ(report->rows[2].alone.at("prefill_32"), "prefill_32 32, prefill_32 8");
  EXPECT_THAT(report->rows[3].alone.at("verify"), HasSubstr("verify 4 x "));
  EXPECT_THAT(to_json(*report)["rows"], SizeIs(4));
}

TEST(Plans, OfEqualCallsAreEqual) {
  PlanRow row;
  row.times["prefill 8"].add(3, 6);
  row.times["prefill 8"].add(2, 7);
  row.times["verify 4 x 2"].add(4, 5);
  row.alone = {{"prefill", "prefill 8"}, {"verify", "verify 4 x 2"}};
  row.planned = "prefill 8";
  EXPECT_EQ(row.best_alone(&LeastTime::seconds), "prefill");
  EXPECT_EQ(row.ratio(&LeastTime::seconds), 1);
  EXPECT_EQ(row.best_alone(&LeastTime::cpu_seconds), "verify");
  EXPECT_EQ(row.ratio(&LeastTime::cpu_seconds), 6.0 / 5);
}

}  // namespace
}  // namespace diptych::measure
