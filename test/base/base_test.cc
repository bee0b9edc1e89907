#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/output_directory.h"
#include "base/own_stack.h"
#include "base/printable.h"
#include "base/zeroed_memory.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

Result<int> half_of(int number) {
  if (number % 2 != 0) return invalid_argument("expected an even number, found {}", number);
  return number / 2;
}
Result<int> quarter_of(int number) { return TRY(half_of(TRY(half_of(number)))); }

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("plain text, \u00e9\u65e5\U0001F44D \\ \"quoted\""),
            "plain text, \u00e9\u65e5\U0001F44D \\ \"quoted\"");
  EXPECT_EQ(printable("\x1b]0;PWN\a\n\r\t\x7f"), "\\u001b]0;PWN\\u0007\\n\\r\\t\\u007f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\u0000");
  EXPECT_EQ(printable("\u009b31m"), "\\u009b31m");                            // C1: CSI
  EXPECT_EQ(printable("\u202eabc\u2066\u2028"), "\\u202eabc\\u2066\\u2028");  // order, lines
  EXPECT_EQ(printable("a\xff\x9b\xc3"), "a\\xff\\x9b\\xc3");                  // no UTF-8
  EXPECT_EQ(printable("a\n\tb\x1b", LineBreaks::Kept), "a\n\tb\\u001b");
  const std::string once = printable("\x1b\xff\n");
  EXPECT_EQ(printable(once), once);
}

TEST(Printable, LinesKeepTheirBeginningAndTheirEnd) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  const std::string cut = one_line("where: " + std::string(100'000, 'x') + "; what to do");
  EXPECT_LE(cut.size(), kLongestLine);
  EXPECT_TRUE(cut.starts_with("where: x")) << cut;
  EXPECT_TRUE(cut.ends_with("x; what to do")) << cut;
  EXPECT_NE(cut.find("x [...] x"), cut.npos);
  std::string wide;
  for (int i = 0; i < 2000; ++i) wide += "\u00e9";
  for (size_t longest = 8; longest < 60; ++longest) {
    EXPECT_LE(shortened(wide, longest).size(), longest);
    EXPECT_EQ(printable(shortened(wide, longest)), shortened(wide, longest));  // whole characters
  }
  EXPECT_LE(one_line(std::string(2000, '\x1b')).size(), kLongestLine);
}

TEST(Error, IsOneLineWhateverAFileSays) {
  Error error{ErrorCode::InvalidData, "m.pte\x1b[2J", "role \"\nfake line\"", {"item\n\x1b", "b"}};
  EXPECT_EQ(error.to_string(), "m.pte\\u001b[2J: role \"\\nfake line\"\n  item\\n\\u001b\n  b");
  error.message = std::string(1 << 20, 'x');
  error.items.assign(100, std::string(1 << 20, 'y'));
  EXPECT_LT(error.to_string().size(), 6'000U);
}

TEST(Error, NamesAPlaceOnce) {
  const auto in = [](std::string_view where, std::string context) {
    return Error{ErrorCode::NotFound, std::move(context), "gone", {}}.within(where).to_string();
  };
  EXPECT_EQ(in("m", ""), "m: gone");
  EXPECT_EQ(in("m", "x"), "m: x: gone");
  EXPECT_EQ(in("m/x", "m/x"), "m/x: gone");
  EXPECT_EQ(in("m/x", "m/x: header"), "m/x: header: gone");
  EXPECT_EQ(in("m", "m/x"), "m/x: gone");
  EXPECT_EQ(in("m/", "m/x"), "m/x: gone");
  EXPECT_EQ(in("m", "model"), "m: model: gone");
  EXPECT_EQ(in("gone", ""), "gone");
}

TEST(Json, ControlCharactersAreEscapedWhenWritten) {
  const Json json("a\x1b\x7f\xC2\x9B\xC2\xA0\xC3\xA9");
  const std::string text = dump_json(json);
  EXPECT_EQ(text, "\"a\\u001b\\u007f\\u009b\xC2\xA0\xC3\xA9\"");
  EXPECT_EQ(parse_json(text).value(), json);
}

TEST(Errors, LeaveRoomOnTheirLineForWhoPrintsThem) {
  const auto error = Error{ErrorCode::InvalidData, std::string(5000, 'x'), "y", {}};
  EXPECT_EQ(error.to_string().size(), 900U);
}

TEST(OwnStack, RecursesDeeplyAndPassesExceptionsOn) {
  // Some 8 MiB of frames, more than a small stack has.
  const std::function<int(int)> deep = [&](int n) {
    volatile char frame[8192] = {};
    frame[0] = 1;
    return n == 0 ? 0 : deep(n - 1) + frame[0];
  };
  int depth = 0;
  ASSERT_TRUE(on_own_stack([&] { depth = deep(1000); }));
  EXPECT_EQ(depth, 1000);
  EXPECT_THROW((void)on_own_stack([] { throw std::bad_alloc(); }), std::bad_alloc);
}

TEST(Error, TryReturnsEarly) {
  EXPECT_EQ(quarter_of(12).value(), 3);
  EXPECT_EQ(within("a", within("b", quarter_of(6))).error().to_string(),
            "a: b: expected an even number, found 3");
}

Result<std::vector<int>> sevens(size_t count) { return std::vector<int>(count, 7); }
struct Holder {
  std::vector<int> values;
};
Status refill(Holder& holder) {
  const auto make = [&](size_t count) -> Result<std::vector<int>> {
    const auto checked = TRY(sevens(count));
    return sevens(checked.size());
  };
  holder.values = TRY(make(1000));
  holder.values = TRY(make(2000));
  return {};
}
TEST(Error, CarriesHintsThatItsTextDoesNotSay) {
  const auto fails = []() -> Status {
    return within<void>(
        "a", about(Setting::InputLength, hinted(invalid_argument("b"), {Advice::LongerInput, 7})));
  };
  const auto rises = [&]() -> Result<int> {
    TRY(fails());
    return 1;
  };
  const Error error = within("c", rises()).error();
  EXPECT_EQ(error.to_string(), "c: a: b");
  EXPECT_EQ(error.setting, Setting::InputLength);
  EXPECT_EQ(error.hint, (Hint{Advice::LongerInput, 7}));
}

TEST(Error, TryGivesAValueThatLives) {
  Holder holder;
  ASSERT_OK(refill(holder));
  EXPECT_EQ(holder.values, std::vector<int>(2000, 7));
  const auto move_only = []() -> Result<std::unique_ptr<int>> {
    return TRY([]() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); }());
  };
  EXPECT_EQ(**move_only(), 5);
}

TEST(Error, ListsAtMostTwentyItems) {
  Error error{ErrorCode::InvalidData, "f", "m", std::vector<std::string>(23, "item")};
  const std::string text = error.to_string();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 21);
  EXPECT_NE(text.find("and 3 more"), std::string::npos);
}

TEST(Bytes, SliceRefusesOverflow) {
  const std::vector<std::byte> data(10);
  EXPECT_TRUE(slice(data, 10, 0, "x"));
  EXPECT_FALSE(slice(data, 11, 0, "x"));
  EXPECT_FALSE(slice(data, 1, UINT64_MAX, "x"));
  EXPECT_FALSE(slice(data, UINT64_MAX, 2, "x"));
}

TEST(Bytes, ReaderNamesTheOffset) {
  const std::vector<std::byte> data(6);
  ByteReader reader(data, 100);
  ASSERT_TRUE(reader.read<uint32_t>("a"));
  EXPECT_EQ(reader.read<uint32_t>("count").error().message,
            "count: expected 4 bytes at offset 104, found 2");
}

TEST(Half, EveryValueSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float f = half_to_float(static_cast<uint16_t>(h));
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(f))));
    } else {
      ASSERT_EQ(float_to_half(f), h);
    }
  }
}

// Between neighbours a and b: below the midpoint gives a, above gives b, the tie gives the even
// one.
TEST(Half, RoundsToNearestEven) {
  for (uint32_t h = 0; h < 0x7BFF; ++h) {
    const double low = half_to_float(static_cast<uint16_t>(h));
    const double high = half_to_float(static_cast<uint16_t>(h + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(float_to_half(middle), h % 2 == 0 ? h : h + 1) << h;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0f)), h);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 1e9f)), h + 1);
  }
  EXPECT_EQ(float_to_half(65519.996f), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0f), 0x7C00);
  EXPECT_EQ(float_to_half(-1e30f), 0xFC00);
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(float_to_bfloat16(1.0f), 0x3F80);
  EXPECT_EQ(float_to_bfloat16(1.00390625f), 0x3F80);  // tie to even
  EXPECT_EQ(float_to_bfloat16(1.01171875f), 0x3F82);  // tie to even, upwards
  EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(std::nanf("")))));
}

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const std::string folder = testing::temporary_directory() + "/atomic", path = folder + "/file";
  ASSERT_OK(make_directories(folder));
  {
    auto file = AtomicFile::create(path);
    ASSERT_OK(file);
    ASSERT_OK((*file)->write(as_bytes("half")));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_OK(write_file(path, as_bytes("whole")));
  EXPECT_EQ(read_text_file(path).value(), "whole");
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++files;
  EXPECT_EQ(files, 1u);
}

// Whatever is gathered and cut into pages on the way.
TEST(AtomicFile, KeepsTheOrderOfPiecesOfAllSizes) {
  constexpr size_t kMebibyte = 1 << 20;
  std::string all;
  for (uint32_t i = 0; all.size() < 12 * kMebibyte; ++i) all += std::to_string(i * 2654435761u);
  const std::string path = testing::temporary_directory() + "/pieces";
  auto file = AtomicFile::create(path);
  ASSERT_OK(file);
  size_t at = 0;
  for (const size_t size : {size_t{1}, kMebibyte, 5 * kMebibyte + 3, size_t{0}, 2 * kMebibyte - 4,
                            2 * kMebibyte, size_t{7}}) {
    ASSERT_OK((*file)->write(as_bytes(std::string_view(all).substr(at, size))));
    at += size;
  }
  ASSERT_OK((*file)->write(as_bytes(std::string_view(all).substr(at))));
  ASSERT_OK((*file)->commit());
  EXPECT_TRUE(read_text_file(path).value() == all);
}

TEST(ZeroedMemory, IsZeroAndOnesOwn) {
  auto memory = ZeroedMemory::allocate(5'000'001);
  ASSERT_OK(memory);
  const MutableBytes bytes = memory->bytes();
  ASSERT_EQ(bytes.size(), 5'000'001u);
  EXPECT_TRUE(std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; }));
  bytes.front() = bytes.back() = std::byte{1};
  const ZeroedMemory moved = std::move(*memory);
  EXPECT_EQ(moved.bytes().data(), bytes.data());
  EXPECT_EQ(ZeroedMemory::allocate(0)->bytes().size(), 0u);
  EXPECT_EQ(ZeroedMemory::allocate(UINT64_MAX).error().code, ErrorCode::Io);
}

TEST(ZeroedMemory, TakesItsRoomBeforeItIsTouched) {
  constexpr size_t kBytes = size_t{8} << 20;
  const auto memory = ZeroedMemory::allocate(kBytes);
  ASSERT_OK(memory);
  memory->bytes().back() = std::byte{7};
  memory->populate();
  std::vector<unsigned char> resident(kBytes / static_cast<size_t>(::sysconf(_SC_PAGESIZE)));
  ASSERT_EQ(::mincore(memory->bytes().data(), kBytes, resident.data()), 0);
  if (std::ranges::none_of(std::span(resident).first(1), [](auto page) { return page & 1; })) {
    GTEST_SKIP() << "this kernel does not take room ahead";
  }
  EXPECT_TRUE(std::ranges::all_of(resident, [](auto page) { return page & 1; }));
  EXPECT_EQ(memory->bytes().front(), std::byte{0});
  EXPECT_EQ(memory->bytes().back(), std::byte{7});
  ZeroedMemory().populate();
}

TEST(AtomicFile, RefusesADirectory) {
  const auto file = AtomicFile::create(testing::temporary_directory());
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().to_string().find("is a directory"), std::string::npos);
}

TEST(AtomicFile, SaysWhyItCannotBeCreated) {
  const std::string path = testing::temporary_directory() + "/missing-directory/file";
  EXPECT_EQ(write_file(path, as_bytes("x")).error().code, ErrorCode::NotFound);
}

TEST(OutputDirectory, TakesBackWhatItMadeUnlessKept) {
  const std::string root = testing::temporary_directory() + "/output_directory";
  const auto exists = [](const std::string& path) { return std::filesystem::exists(path); };
  {
    const auto directory = OutputDirectory::create(root + "/a/b/");
    ASSERT_OK(directory);
    EXPECT_TRUE(exists(root + "/a/b"));
  }
  EXPECT_FALSE(exists(root));
  {
    auto directory = OutputDirectory::create(root + "/a");
    ASSERT_OK(directory);
    directory->keep();
  }
  EXPECT_TRUE(exists(root + "/a"));
  {
    const auto directory = OutputDirectory::create(root + "/a/c/d");
    ASSERT_OK(directory);
    ASSERT_OK(write_file(root + "/a/c/file", Bytes()));
  }
  EXPECT_FALSE(exists(root + "/a/c/d"));
  EXPECT_TRUE(exists(root + "/a/c/file"));
  EXPECT_FALSE(OutputDirectory::create(root + "/a/c/file/d").has_value());
}

TEST(MappedFile, NamesWhatIsWrong) {
  EXPECT_EQ(MappedFile::open("/nonexistent/file").error().code, ErrorCode::NotFound);
  EXPECT_NE(MappedFile::open(testing::temporary_directory()).error().to_string().find("directory"),
            std::string::npos);
}

TEST(Json, RefusesDepthDuplicatesAndRubbish) {
  EXPECT_TRUE(parse_json(R"({"a":[1,2,{"b":null}]})"));
  EXPECT_FALSE(parse_json(""));
  EXPECT_FALSE(parse_json("{\"a\":1,\"a\":2}"));
  EXPECT_FALSE(parse_json("{} x"));
  EXPECT_NE(parse_json(std::string(1000000, '[')).error().message.find("deeper"),
            std::string::npos);
  EXPECT_EQ(json_int(parse_json(R"({"n":"5"})").value(), "n").error().message,
            "\"n\": expected an integer, found \"5\"");
}

TEST(Hash, UuidHasTheFormOfVersion4) {
  Hasher hasher;
  hasher.add(std::string_view("content"));
  const std::string uuid = uuid_from(hasher.digest());
  ASSERT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
  Hasher other;
  other.add(std::string_view("conten"));
  other.add(std::string_view("t"));
  EXPECT_NE(uuid, uuid_from(other.digest()));
}

}  // namespace
}  // namespace diptych
