#include <gtest/gtest.h>

#include <algorithm>

#include "report/svg.h"

namespace diptych::report {
namespace {

TEST(Treemap, PiecesHaveTheirAreasAndDoNotOverlap) {
  const std::vector<double> sizes = {60, 25, 10, 4, 1};
  const auto rects = treemap(sizes, {0, 0, 200, 100});
  for (size_t i = 0; i < rects.size(); ++i) {
    EXPECT_NEAR(rects[i].width * rects[i].height, sizes[i] * 200, 1e-6);
    EXPECT_GE(rects[i].x, -1e-6);
    EXPECT_LE(rects[i].x + rects[i].width, 200 + 1e-6);
    EXPECT_LE(rects[i].y + rects[i].height, 100 + 1e-6);
    for (size_t j = 0; j < i; ++j) {
      const double width = std::min(rects[i].x + rects[i].width, rects[j].x + rects[j].width) -
                           std::max(rects[i].x, rects[j].x);
      const double height = std::min(rects[i].y + rects[i].height, rects[j].y + rects[j].height) -
                            std::max(rects[i].y, rects[j].y);
      EXPECT_FALSE(width > 1e-6 && height > 1e-6) << i << " and " << j;
    }
  }
}

TEST(Treemap, OfNothing) {
  EXPECT_TRUE(treemap({}, {0, 0, 10, 10}).empty());
  EXPECT_EQ(treemap({0, 0}, {0, 0, 10, 10}).size(), 2u);
}

TEST(Svg, TextsOfFilesAreNoMarkup) {
  EXPECT_EQ(escaped("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
  EXPECT_EQ(escaped("a\x1b[31m"), "a\\u001b[31m");
}

}  // namespace
}  // namespace diptych::report
