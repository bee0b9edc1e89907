#include "pte/reader.h"

#include <gmock/gmock.h>

#include "pte/constant_method.h"
#include "pte/dump.h"
#include "pte/header.h"
#include "sample.h"
#include "testing/shared_data.h"

namespace diptych::pte {
namespace {

using ::testing::HasSubstr;

using File = std::vector<std::byte>;

std::string error_of(Bytes file) {
  const auto program = read(file);
  return program ? "no error" : program.error().to_string();
}

template <class T>
File with(File file, uint64_t offset, T value) {
  store(&file[offset], value);
  return file;
}

// Where the only occurrence of these 16 bytes is: a segment's offset and size, say.
uint64_t find_pair(const File& file, uint64_t first, uint64_t second) {
  const std::array<uint64_t, 2> pair = {first, second};
  const std::string_view needle(reinterpret_cast<const char*>(pair.data()), sizeof(pair));
  const size_t at = as_text(file).find(needle);
  EXPECT_NE(at, std::string_view::npos);
  EXPECT_EQ(as_text(file).find(needle, at + 1), std::string_view::npos);
  return at;
}

TEST(ReaderTest, AnyAddressGivesTheSame) {
  const File file = file_of(sample_program());
  const Program program = *read(file);
  for (size_t shift = 1; shift < 64; ++shift) {
    File shifted(shift, std::byte(0x5A));
    shifted.insert(shifted.end(), file.begin(), file.end());
    const auto again = read(Bytes(shifted).subspan(shift));
    ASSERT_OK(again);
    ASSERT_EQ(*again, program) << "shifted by " << shift;
  }
}

TEST(ReaderTest, EveryTruncationIsAnError) {
  const File file = file_of(sample_program());
  for (size_t size = 0; size < file.size(); ++size) {
    const File truncated(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(read(truncated)) << "cut to " << size;
  }
}

// Without a header nothing says how long the file is, and the last bytes may be padding.
TEST(ReaderTest, TruncatedBareProgramsAreErrors) {
  Program program;
  program.methods.push_back(constant_method("answer", int64_t{42}));
  const File file = file_of(program);
  for (size_t size = 0; size + 8 < file.size(); ++size) {
    const File truncated(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(read(truncated)) << "cut to " << size;
  }
}

TEST(ReaderTest, TrailingBytesAreAllowed) {
  File file = file_of(sample_program());
  file.resize(file.size() + 100);
  ASSERT_OK(read(file));
}

TEST(ReaderTest, RefusesOtherFiles) {
  EXPECT_THAT(error_of({}), HasSubstr("at least 64 bytes, found 0"));
  EXPECT_THAT(error_of(File(100)), HasSubstr("not an ExecuTorch program"));
  const File file = file_of(sample_program());
  EXPECT_THAT(error_of(with(file, 4, '3')), HasSubstr("expected the identifier ET12"));
}

TEST(ReaderTest, RefusesBadHeaders) {
  const File file = file_of(sample_program());
  const auto header = **read_header(file);
  EXPECT_THAT(error_of(with(file, 12, uint32_t{23})), HasSubstr("length of at least 24, found 23"));
  EXPECT_THAT(error_of(with(file, 16, ~uint64_t{0})), HasSubstr("truncated?"));
  EXPECT_THAT(error_of(with(file, 16, uint64_t{10})), HasSubstr("cannot hold a header"));
  EXPECT_THAT(error_of(with(file, 16, uint64_t{100})), HasSubstr("damaged"));
  EXPECT_THAT(error_of(with(file, 24, header.program_size - 1)), HasSubstr("inside the program"));
  EXPECT_THAT(error_of(with(file, 24, ~uint64_t{0} - 5)), HasSubstr("truncated?"));
  EXPECT_THAT(error_of(with(file, 24, uint64_t{0})), HasSubstr("no segment base"));
  EXPECT_THAT(error_of(with(file, 32, header.segment_data_size + 1)), HasSubstr("truncated?"));
  EXPECT_THAT(error_of(with(file, 32, header.segment_data_size - 1)), HasSubstr("exceed the"));
  // Neither is an error: no size of the segment data, or a header too short to have one.
  EXPECT_TRUE(read(with(file, 32, uint64_t{0})));
  EXPECT_TRUE(read(with(file, 12, uint32_t{24})));
}

TEST(ReaderTest, RefusesBadRoots) {
  const File file = file_of(sample_program());
  for (const uint32_t root : {0u, 1u, 7u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
    EXPECT_THAT(error_of(with(file, 0, root)), HasSubstr("damaged")) << root;
  }
}

TEST(ReaderTest, RefusesBadSegments) {
  Program program;
  program.methods.push_back(constant_method("answer", int64_t{42}));
  program.named_data = {{"a", Blob::own(some_bytes(1001, 1))}, {"b", Blob::own(some_bytes(77))}};
  const File file = file_of(program);
  ASSERT_OK(read(file));
  const uint64_t at = find_pair(file, 1024, 77);  // offset and size of segment "b"
  ASSERT_LT(at, file.size());
  EXPECT_THAT(error_of(with(file, at, uint64_t{1000})), HasSubstr("segments overlap"));
  EXPECT_THAT(error_of(with(file, at, uint64_t{0})), HasSubstr("segments overlap"));
  EXPECT_THAT(error_of(with(file, at, uint64_t{1025})), HasSubstr("segment 2: 77 bytes"));
  EXPECT_THAT(error_of(with(file, at, ~uint64_t{0} - 50)), HasSubstr("exceed"));
  EXPECT_THAT(error_of(with(file, at + 8, uint64_t{78})), HasSubstr("exceed"));
  EXPECT_THAT(error_of(with(file, at + 8, ~uint64_t{0})), HasSubstr("exceed"));
}

TEST(ReaderTest, RefusesBadConstantOffsets) {
  Program program;
  for (int i = 0; i < 3; ++i) {
    program.methods.push_back(*constant_tensor_method(program, fmt::format("m{}", i),
                                                      {DType::UInt8, {64}}, some_bytes(64, i)));
  }
  const File file = file_of(program);
  ASSERT_OK(read(file));
  const uint64_t at = find_pair(file, 64, 128);  // of constants 2 and 3
  ASSERT_LT(at, file.size());
  EXPECT_THAT(error_of(with(file, at, uint64_t{129})), HasSubstr("constant segment: entry 2"));
  EXPECT_THAT(error_of(with(file, at, uint64_t{80})), HasSubstr("takes 64 bytes"));
  EXPECT_THAT(error_of(with(file, at + 8, uint64_t{63})), HasSubstr("out of order"));
  EXPECT_THAT(error_of(with(file, at + 8, uint64_t{193})), HasSubstr("outside its segment"));
  EXPECT_THAT(error_of(with(file, at + 8, ~uint64_t{0})), HasSubstr("outside its segment"));
}

TEST(ReaderTest, DuplicateNamesAreRefused) {
  Program program;
  program.methods = {constant_method("one", int64_t{1}), constant_method("two", int64_t{2})};
  File file = file_of(program);
  const size_t at = as_text(file).find("two");
  std::memcpy(&file[at], "one", 3);
  EXPECT_THAT(error_of(file), HasSubstr("method name 'one' occurs twice"));
  std::memcpy(&file[at], "\xFFne", 3);
  EXPECT_THAT(error_of(file), HasSubstr("not UTF-8"));
}

// Small files must not unfold into huge programs by pointing to one long vector many times.
TEST(ReaderTest, BoundsSharedVectors) {
  Program program;
  program.methods.push_back(constant_method("answer", int64_t{42}));
  Method& method = program.methods[0];
  const EValue small = DoubleList{{1}}, large = DoubleList{std::vector<double>(20000, 0.5)};
  method.values.insert(method.values.end(), 500, small);
  method.values.push_back(large);
  File file = file_of(program);
  ASSERT_OK(read(file));
  // The vector of values, entries 1…501, all made to point to the last one.
  const size_t count = method.values.size();
  for (uint64_t at = 0; at + 4 * count < file.size(); at += 4) {
    if (load<uint32_t>(&file[at]) != count) continue;
    const uint64_t last = at + 4 * count;
    const uint64_t target = last + load<uint32_t>(&file[last]);
    for (uint64_t entry = at + 4; entry < last; entry += 4) {
      store(&file[entry], static_cast<uint32_t>(target - entry));
    }
    break;
  }
  EXPECT_THAT(error_of(file), HasSubstr("unfold to more than 16 times"));
}

// Writers align vectors of 8-byte numbers; damaged files need not.
TEST(ReaderTest, ReadsMisalignedVectors) {
  Program program;
  program.methods.push_back(constant_method("answer", int64_t{42}));
  program.methods[0].arena_sizes = {1, 2, 3, 4, 5, 6, 7, 8};
  File file = file_of(program);
  const uint64_t at = find_pair(file, 1, 2);
  ASSERT_LT(at, file.size());
  // The vector's length, and the one place that refers to it, move four bytes on.
  for (uint64_t slot = 0; slot < at; slot += 4) {
    if (slot + load<uint32_t>(&file[slot]) == at - 4) {
      store(&file[slot], static_cast<uint32_t>(at - slot));
    }
  }
  store(&file[at], uint32_t{1});
  const auto read_back = read(file);
  ASSERT_OK(read_back);
  EXPECT_EQ(read_back->methods[0].arena_sizes, (std::vector<int64_t>{int64_t{2} << 32}));
}

TEST(ReaderTest, DumpNamesEverything) {
  const File file = file_of(sample_program());
  const std::string text = dump(*read(file));
  for (const char* piece :
       {"method kernels: 16 values, arenas [0, 64, 8589934592]", "in  %0: int32[1,0,7]",
        "val %1: fp32[2,3] order(1,0) constant 1", "val %4: int64[1] starts as state 1 arena 1+0",
        "external \"w.größe\"", "val %10: (3 bytes)", "val %15: tensors[none, %2, %6]",
        "  0 aten::relu(%0, %1, %2)", "  2 unless %8 jump to 3", "delegate 0: A, 301 bytes",
        "key=(2 bytes)", "constant vocab_size = 512", "constant mask_specs = int64[1,2] {",
        "named data \"first\": 1000 bytes"}) {
    EXPECT_THAT(text, HasSubstr(piece));
  }
}

}  // namespace
}  // namespace diptych::pte
