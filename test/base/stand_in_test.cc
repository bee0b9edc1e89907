#include "base/stand_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using ::testing::HasSubstr;

TEST(StandIn, AnyFileThatIsReadIsTheFileItself) {
  const std::string path = testing::temporary_directory() + "/stand_in";
  EXPECT_FALSE(is_there(path));
  std::filesystem::create_symlink("/nowhere/at \n all", path);
  EXPECT_TRUE(is_there(path));
  const auto dead = read_text_file(path);
  ASSERT_FALSE(dead.has_value());
  EXPECT_EQ(dead.error().code, ErrorCode::Io);  // not as if it had never been there
  EXPECT_THAT(dead.error().to_string(),
              HasSubstr("stand_in: is a link to \"/nowhere/at \\n all\", where there is no file"));
  std::filesystem::remove(path);

  ASSERT_OK(write_file(path, as_bytes("version https://git-lfs.github.com/spec/v1\noid sha256:0")));
  EXPECT_TRUE(is_there(path));
  const auto pointer = MappedFile::open(path);
  ASSERT_FALSE(pointer.has_value());
  EXPECT_THAT(pointer.error().to_string(),
              HasSubstr("stand_in: is a Git LFS pointer, not the file itself; fetch that with"));
  ASSERT_OK(write_file(path, as_bytes("version https://example.org/\n")));
  EXPECT_TRUE(read_text_file(path).has_value());
}

}  // namespace
}  // namespace diptych
