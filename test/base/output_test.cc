// Outputs: what they replace and what they never do.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/output_directory.h"
#include "base/run_files.h"
#include "base/temporaries.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

// A folder per test.
class OutputTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::temporary_directory() + "/" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_);
  }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }
  std::string text(const std::string& name) const { return read_text_file(path(name)).value(); }
  mode_t mode(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::stat(path(name).c_str(), &info), 0);
    return info.st_mode & 07777;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      found.push_back(entry.path().filename().string());
    }
    std::ranges::sort(found);
    return found;
  }
  // The error of an output that is refused, with nothing left of it.
  std::string refusal(const std::string& name) const {
    const auto before = names();
    const Status status = write_file(path(name), as_bytes("new"));
    EXPECT_EQ(names(), before);
    EXPECT_FALSE(status.has_value()) << name;
    return status ? "" : status.error().to_string();
  }

  std::string folder_;
};

TEST_F(OutputTest, TheUmaskAndTheModeThereAreRespected) {
  const mode_t before = ::umask(027);
  ASSERT_OK(write_file(path("new"), as_bytes("x")));
  ASSERT_OK(write_file(path("secret"), as_bytes("x"), {.mode = 0600}));
  put("old", "old");
  fs::permissions(path("old"), static_cast<fs::perms>(0604));
  ASSERT_OK(write_file(path("old"), as_bytes("x"), {.mode = 0600}));
  ::umask(before);
  EXPECT_EQ(mode("new"), 0640u);
  EXPECT_EQ(mode("secret"), 0600u);
  EXPECT_EQ(mode("old"), 0604u);
  EXPECT_EQ(text("old"), "x");
}

TEST_F(OutputTest, TheOwnerIsKept) {
  put("old", "old");
  if (::geteuid() != 0 || ::chown(path("old").c_str(), 12345, 23456) != 0) {
    GTEST_SKIP() << "only root can give files away";
  }
  ASSERT_OK(write_file(path("old"), as_bytes("new")));
  struct stat info {};
  ASSERT_EQ(::stat(path("old").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 12345u);
  EXPECT_EQ(info.st_gid, 23456u);
}

TEST_F(OutputTest, LinksAreFollowed) {
  put("real", "old");
  fs::create_directories(path("elsewhere"));
  fs::create_symlink("real", path("link"));
  fs::create_symlink("link", path("link_to_link"));
  fs::create_symlink("elsewhere/made", path("dangling"));
  ASSERT_OK(write_file(path("link_to_link"), as_bytes("new")));
  ASSERT_OK(write_file(path("dangling"), as_bytes("made")));
  EXPECT_EQ(text("real"), "new");
  EXPECT_EQ(text("elsewhere/made"), "made");
  for (const char* name : {"link", "link_to_link", "dangling"}) {
    EXPECT_TRUE(fs::is_symlink(path(name))) << name;
  }
  fs::create_symlink("loop", path("loop"));
  EXPECT_THAT(refusal("loop"), HasSubstr("loop: cannot create: "));
}

TEST_F(OutputTest, OtherNamesOfTheFileKeepItsContents) {
  put("one", "old");
  fs::create_hard_link(path("one"), path("other"));
  ASSERT_OK(write_file(path("one"), as_bytes("new")));
  EXPECT_EQ(text("one"), "new");
  EXPECT_EQ(text("other"), "old");
}

TEST_F(OutputTest, OnlyFilesAreReplaced) {
  fs::create_directories(path("directory"));
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string socket_path = path("socket");
  if (socket_path.size() < sizeof address.sun_path) {
    std::ranges::copy(socket_path, address.sun_path);
    ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_THAT(refusal("socket"), HasSubstr("socket: is a socket, expected the name of a file"));
    EXPECT_TRUE(fs::is_socket(path("socket")));
  }
  ::close(socket);
  fs::create_symlink("pipe", path("link"));
  for (const char* name : {"pipe", "link"}) {
    EXPECT_THAT(refusal(name), HasSubstr("is a pipe, expected the name of a file to write"));
  }
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  EXPECT_THAT(refusal("directory"), HasSubstr("is a directory"));
  EXPECT_THAT(refusal("directory/"), HasSubstr("is a directory"));
  EXPECT_THAT(refusal("absent/"), HasSubstr("is a directory"));
  // A node of our own making, of the device that takes and drops all.
  if (::mknod(path("device").c_str(), S_IFCHR | 0666, 0x103) == 0) {
    EXPECT_THAT(refusal("device"), HasSubstr("is a device"));
    EXPECT_TRUE(fs::is_character_file(path("device")));
  }
}

TEST_F(OutputTest, WriteProtectedFilesAreNotReplaced) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write all files";
  put("protected", "old");
  fs::permissions(path("protected"), static_cast<fs::perms>(0444));
  EXPECT_THAT(refusal("protected"), HasSubstr("cannot write: Permission denied"));
  EXPECT_EQ(text("protected"), "old");
}

TEST_F(OutputTest, WhatCameThereMeanwhileIsLookedAtAgain) {
  auto file = AtomicFile::create(path("out"));
  ASSERT_OK(file);
  ASSERT_OK((*file)->write(as_bytes("new")));
  ASSERT_EQ(::mkfifo(path("out").c_str(), 0600), 0);
  const Status status = (*file)->commit();
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().to_string(), HasSubstr("out: cannot replace: it is a pipe by now"));
  file->reset();
  EXPECT_TRUE(fs::is_fifo(path("out")));
  EXPECT_THAT(names(), ElementsAre("out"));
}

TEST_F(OutputTest, FilesThatCameThereMeanwhileAreReplaced) {
  auto file = AtomicFile::create(path("out"));
  ASSERT_OK(file);
  ASSERT_OK((*file)->write(as_bytes("new")));
  put("out", "meanwhile");
  ASSERT_OK((*file)->commit());
  EXPECT_EQ(text("out"), "new");
  EXPECT_THAT(names(), ElementsAre("out"));
}

TEST_F(OutputTest, NamesOfAllLengths) {
  const std::string longest(255, 'n');
  for (const char* contents : {"first", "second"}) {  // the second time it is replaced
    ASSERT_OK(write_file(path(longest), as_bytes(contents)));
    EXPECT_EQ(text(longest), contents);
  }
  EXPECT_THAT(names(), ElementsAre(longest));
}

TEST_F(OutputTest, AnInputOfTheRunIsNotReplaced) {
  put("in", "old");
  fs::create_directories(path("sub"));
  fs::create_hard_link(path("in"), path("hard"));
  fs::create_symlink("in", path("soft"));
  {
    const RunFiles run;
    ASSERT_OK(read_text_file(path("in")));  // no longer open, but read all the same
    for (const char* name : {"in", "./in", "sub/../in", "hard", "soft"}) {
      EXPECT_THAT(refusal(name),
                  HasSubstr(std::string(name) + ": the output is the same file as the input " +
                            path("in") + "; name another output"));
    }
    EXPECT_THAT(names(), ElementsAre("hard", "in", "soft", "sub"));
    EXPECT_EQ(text("in"), "old");
  }
  ASSERT_OK(write_file(path("in"), as_bytes("new")));  // that run is over
}

TEST_F(OutputTest, AnInputThatIsBeingReplacedIsRefused) {
  const RunFiles run;
  put("in", "old");
  const auto file = AtomicFile::create(path("in"));
  ASSERT_OK(file);
  const auto input = MappedFile::open(path("sub/../in"));
  fs::create_directories(path("sub"));
  EXPECT_THAT(MappedFile::open(path("sub/../in")).error().to_string(),
              HasSubstr("in: the output is the same file as the input"));
}

TEST_F(OutputTest, TwoOutputsOfARunAreTwoFiles) {
  const RunFiles run;
  fs::create_directories(path("sub"));
  fs::create_symlink("other", path("link"));
  auto file = AtomicFile::create(path("out"));
  ASSERT_OK(file);
  EXPECT_THAT(refusal("sub/../out"),
              HasSubstr("the output is the same file as the output " + path("out")));
  ASSERT_OK((*file)->commit());
  file->reset();
  EXPECT_THAT(refusal("out"), HasSubstr("the same file as the output"));  // also when complete
  const auto other = AtomicFile::create(path("other"));
  ASSERT_OK(other);
  EXPECT_THAT(refusal("link"), HasSubstr("the same file as the output"));
  { ASSERT_OK(AtomicFile::create(path("withdrawn"))); }
  ASSERT_OK(write_file(path("withdrawn"), as_bytes("x")));
}

TEST_F(OutputTest, WhatIsEditedMayBeReplaced) {
  const RunFiles run;
  put("edited", "old");
  ASSERT_OK(read_text_file(path("edited"), 100, Use::Edit));
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(write_file(path("edited"), as_bytes("new"), {.use = Use::Edit}));
  }
  ASSERT_OK(read_text_file(path("edited")));
  EXPECT_FALSE(write_file(path("edited"), as_bytes("x"), {.use = Use::Edit}));
}

TEST_F(OutputTest, PipesAreNotWaitedFor) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(MappedFile::open(path("pipe")).error().to_string(),
              HasSubstr("pipe: expected a file, found a pipe"));
}

TEST_F(OutputTest, AMapThatBecameShorterIsAnError) {
  put("in", std::string(10000, 'x'));
  put("out", "old");
  const std::string expected = path("in") + ": became shorter while it was read";
  {
    const auto file = MappedFile::open(path("in"));
    ASSERT_OK(file);
    EXPECT_EQ(mapped_path_at((*file)->bytes().data() + 9999), (*file)->path());
    EXPECT_EQ(mapped_path_at((*file)->bytes().data() + 10000), nullptr);
    ASSERT_OK(check_mapped_files());
    fs::resize_file(path("in"), 5000);  // within the page
    EXPECT_EQ(check_mapped_files().error().to_string(), expected);
    EXPECT_EQ(write_file(path("out"), as_bytes("new")).error().to_string(), expected);
    fs::resize_file(path("in"), 0);
    // The system cannot read what is gone.
    auto output = AtomicFile::create(path("out"));
    ASSERT_OK(output);
    const std::string much(3 << 20, 'x');
    put("large", much);
    const auto large = MappedFile::open(path("large"));
    ASSERT_OK(large);
    fs::resize_file(path("large"), 4096);
    EXPECT_THAT((*output)->write((*large)->bytes()).error().to_string(),
                HasSubstr("large: became shorter"));
  }
  EXPECT_FALSE(check_mapped_files().has_value());  // also when it is no longer mapped
  ASSERT_OK(check_mapped_files());
  EXPECT_EQ(text("out"), "old");
}

TEST_F(OutputTest, MapsAreFoundByTheirAddresses) {
  put("empty", "");
  put("one", "x");
  auto empty = MappedFile::open(path("empty"));
  ASSERT_OK(empty);
  const auto one = MappedFile::open(path("one"));
  ASSERT_OK(one);
  empty->reset();
  const auto other = MappedFile::open(path("one"));
  ASSERT_OK(other);
  for (const auto* file : {&*one, &*other}) {
    EXPECT_EQ(mapped_path_at((*file)->bytes().data()), (*file)->path().c_str());
  }
  EXPECT_EQ(mapped_path_at(nullptr), nullptr);
  EXPECT_EQ(mapped_path_at(this), nullptr);
}

TEST_F(OutputTest, TemporariesAreRemoved) {
  fs::create_directories(path("tree/a/b"));
  put("tree/a/file", "x");
  put("kept", "x");
  fs::create_symlink(path("kept"), path("tree/a/link"));
  fs::create_directory_symlink(folder_, path("tree/up"));
  for (int i = 0; i < 300; ++i) put("tree/" + std::to_string(i), "x");
  put("file", "x");
  fs::create_directories(path("outer/inner"));
  fs::create_directories(path("full"));
  put("full/kept", "x");
  {
    const Temporary outer(Temporary::Kind::EmptyDirectory, path("outer"));
    const Temporary inner(Temporary::Kind::EmptyDirectory, path("outer/inner"));
    const Temporary full(Temporary::Kind::EmptyDirectory, path("full"));
    const Temporary tree(Temporary::Kind::Tree, path("tree"));
    const Temporary file(Temporary::Kind::File, path("file"));
    { const Temporary known(Temporary::Kind::File, path("kept")); }
    remove_temporaries();
  }
  EXPECT_THAT(names(), ElementsAre("full", "kept"));
  EXPECT_EQ(text("full/kept"), "x");
}

TEST_F(OutputTest, ATemporaryDirectoryEndsWithItsContents) {
  {
    const auto directory = TemporaryDirectory::beside(path("out"));
    ASSERT_OK(directory);
    EXPECT_THAT(directory->path(), HasSubstr("/out."));
    fs::create_directories(directory->path() + "/a/b");
    std::ofstream(directory->path() + "/a/b/c") << "x";
  }
  EXPECT_THAT(names(), IsEmpty());
}

}  // namespace
}  // namespace diptych
