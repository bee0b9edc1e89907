#include <gtest/gtest.h>

#include "exporter/export.h"
#include "report/report.h"
#include "testing/shared_data.h"

namespace diptych::report {
namespace {

std::string demo() {
  exporter::Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.multifunction = true;
  const std::string path = testing::temporary_directory() + "/<b>demo.pte";
  Progress silent;
  const auto report =
      exporter::export_files(testing::source_path("demo/model.pth"), "", path, options, silent);
  EXPECT_TRUE(report.has_value()) << report.error().to_string();
  return path;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Page, HasItsPartsAndNeedsNothing) {
  Progress silent;
  const auto contents = gather(demo(), {}, silent);
  ASSERT_OK(contents);
  const std::string html = page(*contents);
  for (const char* title :
       {"Methods", "Bytes", "Sharing", "Formats", "Operations", "Memory", "Neural Engine"}) {
    EXPECT_EQ(count(html, std::string("<h2>") + title + "</h2>"), 1u) << title;
  }
  EXPECT_EQ(html.find("Verification"), html.npos);
  // Nothing is loaded from elsewhere and nothing runs.
  for (const char* needs : {"http:", "https:", "<script", "src=", "@import", "url("}) {
    EXPECT_EQ(html.find(needs), html.npos) << needs;
  }
  // Every figure has a text alternative.
  EXPECT_EQ(count(html, "<svg "), count(html, "role=\"img\" aria-label=\""));
  EXPECT_GE(count(html, "<svg "), 6u);
  // A file's name is no markup.
  EXPECT_EQ(html.find("<b>demo"), html.npos);
  EXPECT_NE(html.find("&lt;b&gt;demo"), html.npos);
}

TEST(Page, WithChecksAndTimes) {
  Progress silent;
  Options options;
  options.verify = options.profile = true;
  const auto contents = gather(demo(), options, silent);
  ASSERT_OK(contents);
  const std::string html = page(*contents);
  EXPECT_EQ(count(html, "<h2>Verification</h2>"), 1u);
  EXPECT_EQ(count(html, "<h2>Time</h2>"), 1u);
  EXPECT_NE(html.find("GFLOP/s"), html.npos);
}

}  // namespace
}  // namespace diptych::report
