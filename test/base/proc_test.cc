// Files of the form that Linux has under /proc.
#include "base/proc.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

TEST(Proc, FindsTheValueOfAKey) {
  const std::string path = testing::temporary_directory() + "/proc";
  ASSERT_OK(write_file(path, as_bytes("model name\t: A CPU: fast\nMemAvail:  1 kB\n"
                                      "MemAvailable:  23 kB\nempty:\nno colon\n")));
  EXPECT_EQ(proc_value(path.c_str(), "model name"), "A CPU: fast");
  EXPECT_EQ(proc_value(path.c_str(), "MemAvailable"), "23 kB");
  EXPECT_EQ(proc_value(path.c_str(), "MemAvail"), "1 kB");
  EXPECT_EQ(proc_value(path.c_str(), "model"), "");
  EXPECT_EQ(proc_value(path.c_str(), "empty"), "");
  EXPECT_EQ(proc_value("/nowhere", "model name"), "");
}

TEST(Proc, ReadsKilobytes) {
  EXPECT_EQ(kilobytes("23 kB"), 23 * 1024U);
  EXPECT_EQ(kilobytes("512K"), 512 * 1024U);
  EXPECT_EQ(kilobytes(""), 0U);
  EXPECT_EQ(kilobytes("kB"), 0U);
}

TEST(Proc, KnowsThatThereIsMemory) { EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20); }

}  // namespace
}  // namespace diptych
