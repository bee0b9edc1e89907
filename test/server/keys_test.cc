#include "server/keys.h"

#include <gtest/gtest.h>

#include <fstream>

#include "testing/shared_data.h"

namespace diptych::server {
namespace {

Result<Keys> keys(const std::string& text) {
  const std::string path = testing::temporary_directory() + "/keys";
  std::ofstream(path) << text;
  return Keys::read(path);
}

TEST(Keys, AreLinesOfAFile) {
  const auto read = keys("# ours\nabc\r\n\nlonger-key\n");
  ASSERT_OK(read);
  EXPECT_TRUE(read->allow("Bearer abc"));
  EXPECT_TRUE(read->allow("Bearer longer-key"));
  EXPECT_TRUE(read->allow("bearer abc"));
  for (const char* wrong : {"", "abc", "Bearer ", "Bearer abcd", "Bearer ab", "Bearer abC",
                            "Basic abc", "Bearer # ours", "Bearer longer-keylonger-key"}) {
    EXPECT_FALSE(read->allow(wrong)) << wrong;
  }
  EXPECT_TRUE(Keys().allow(""));  // none are asked for
}

TEST(Keys, AFileMustHoldSome) {
  EXPECT_FALSE(keys("# none\n\n"));
  EXPECT_FALSE(keys("a b\n"));
  EXPECT_FALSE(keys("\x80\n"));
  EXPECT_FALSE(Keys::read("/nonexistent/keys"));
}

}  // namespace
}  // namespace diptych::server
