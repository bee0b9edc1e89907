#include "pte/writer.h"

#include <gmock/gmock.h>

#include "pte/constant_method.h"
#include "pte/header.h"
#include "pte/reader.h"
#include "sample.h"
#include "testing/shared_data.h"

namespace diptych::pte {
namespace {

using ::testing::HasSubstr;

TEST(WriterTest, ReadsBackTheSame) {
  const Program program = sample_program();
  const auto file = file_of(program);
  const auto read_back = read(file);
  ASSERT_OK(read_back);
  EXPECT_EQ(without_layout(*read_back), program);
}

TEST(WriterTest, RewritesItsFilesByteForByte) {
  const auto file = file_of(sample_program());
  const auto read_back = read(file);
  ASSERT_OK(read_back);
  EXPECT_EQ(file_of(*read_back), file);
}

TEST(WriterTest, LaysOutHeaderAndSegments) {
  const auto file = file_of(sample_program());
  const auto header = read_header(file);
  ASSERT_OK(header);
  ASSERT_TRUE(header->has_value());
  const uint64_t base = (*header)->segment_base;
  EXPECT_EQ(base, align_up((*header)->program_size, 128));
  EXPECT_EQ(base + (*header)->segment_data_size, file.size());
  EXPECT_EQ(as_text(Bytes(file).subspan(4, 8)), "ET12eh00");
  EXPECT_EQ(load<uint32_t>(&file[12]), 32u);

  const auto program = read(file);
  ASSERT_OK(program);
  // Constants of 24 and 16 bytes, a state of 8, payloads of 301 and 5 (one used twice), named data
  // of 1000 (twice) and of nothing.
  const std::vector<Layout::Segment> expected = {
      {base, 32 + 16}, {base + 128, 8},    {base + 256, 301},
      {base + 640, 5}, {base + 768, 1000}, {base + 1792, 0},
  };
  EXPECT_EQ(program->layout.segments, expected);
  EXPECT_EQ(program->named_data[0].data.bytes().data(), program->named_data[1].data.bytes().data());
}

TEST(WriterTest, NeedsNoHeaderWithoutSegmentData) {
  Program program;
  program.methods.push_back(constant_method("answer", int64_t{42}));
  const auto file = file_of(program);
  EXPECT_FALSE(read_header(file)->has_value());
  const auto read_back = read(file);
  ASSERT_OK(read_back);
  EXPECT_EQ(without_layout(*read_back), program);
  EXPECT_EQ(read_back->layout.segments.size(), 1u);
}

// Says that it has more bytes than it writes.
class LyingSource : public Source {
 public:
  uint64_t size() const override { return 100; }
  Status write_to(Sink& sink) const override { return sink.write_zeros(99); }
};

TEST(WriterTest, StreamsProducedPayloads) {
  const SourceRef shared = memory_source("a shared blob");
  Program program = sample_program();
  program.methods[1].delegates[0].processed = Blob::produced(shared);
  program.methods[1].delegates[2].processed = Blob::produced(shared);
  program.methods[1].delegates[3].processed = Blob::produced(memory_source("a shared blob"));
  const auto file = file_of(program);
  const auto read_back = read(file);
  ASSERT_OK(read_back);
  const auto data = [&](size_t i) { return read_back->methods[1].delegates[i].processed.bytes(); };
  EXPECT_EQ(as_text(data(0)), "a shared blob");
  EXPECT_EQ(data(2).data(), data(0).data());
  EXPECT_EQ(as_text(data(3)), "a shared blob");
  EXPECT_NE(data(3).data(), data(0).data());

  program.named_data[0].data = Blob::produced(std::make_shared<LyingSource>());
  const auto source = write(program);
  ASSERT_OK(source);
  const auto bytes = read_all(**source);
  ASSERT_FALSE(bytes);
  EXPECT_THAT(bytes.error().to_string(), HasSubstr("promised 100 bytes and wrote 99"));
}

}  // namespace
}  // namespace diptych::pte
