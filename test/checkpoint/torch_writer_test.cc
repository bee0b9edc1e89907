#include "checkpoint/torch_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "base/file.h"
#include "checkpoint/torch_reader.h"
#include "checkpoint/zip.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using ::testing::HasSubstr;

Result<Checkpoint> round_trip(const std::vector<NamedWeight>& tensors, MemorySink* sink) {
  Progress silent;
  TRY(write_torch(*sink, tensors, silent));
  const auto owner = std::make_shared<const std::vector<std::byte>>(sink->data);
  return open(*owner, owner, "");
}

TEST(TorchWriter, RoundTrips) {
  std::vector<NamedWeight> tensors;
  uint64_t seed = 0;
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16, DType::F64, DType::Int64,
                            DType::Int32, DType::Int16, DType::Int8, DType::UInt8, DType::Bool}) {
    for (const Shape& shape :
         {Shape{}, Shape{0}, Shape{7}, Shape{3, 300}, Shape{2, 0, 4}, Shape{2, 3, 4}}) {
      const TensorType type = {dtype, shape};
      tensors.emplace_back(to_string(type) + "?", random_weight(type, ++seed));
    }
  }
  MemorySink sink;
  const auto checkpoint = round_trip(tensors, &sink);
  ASSERT_OK(checkpoint);
  ASSERT_EQ(checkpoint->tensors.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, weight] = checkpoint->tensors[i];
    EXPECT_EQ(name, tensors[i].first);
    ASSERT_EQ(weight->type(), tensors[i].second->type());
    EXPECT_EQ(read_all(*packed_source(weight)).value(),
              read_all(*packed_source(tensors[i].second)).value());
  }
  const auto zip = ZipReader::open(sink.data);
  ASSERT_OK(zip);
  for (const ZipEntry& entry : zip->entries()) {
    ASSERT_OK(zip->check_crc(entry));
    EXPECT_EQ(entry.crc32 == 0, entry.size == 0) << entry.name;
  }
  // What is read is written again as the same bytes.
  MemorySink again;
  ASSERT_OK(round_trip(checkpoint->tensors, &again));
  EXPECT_EQ(sink.data, again.data);
}

TEST(TorchWriter, StoresASharedWeightOnce) {
  const WeightRef weight = random_weight({DType::F32, {100, 100}}, 1);
  MemorySink sink;
  const auto checkpoint = round_trip({{"a", weight}, {"b", weight}}, &sink);
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->find("a"), checkpoint->find("b"));
  EXPECT_LT(sink.data.size(), 45'000u);
}

TEST(TorchWriter, RefusesWhatTorchCannotHold) {
  MemorySink sink;
  const auto int4 = round_trip({{"a", zeros({DType::Int4, {2}})}}, &sink);
  ASSERT_FALSE(int4.has_value());
  EXPECT_THAT(int4.error().message, HasSubstr("tensor \"a\": torch files hold no int4"));
  const WeightRef weight = zeros({DType::F32, {2}});
  const auto twice = round_trip({{"a", weight}, {"a", weight}}, &sink);
  ASSERT_FALSE(twice.has_value());
  EXPECT_THAT(twice.error().message, HasSubstr("two tensors are named \"a\""));
}

// Leaves holes where large zero blocks are written.
class SparseFile : public Sink {
 public:
  explicit SparseFile(const std::string& path)
      : fd_(::open(path.c_str(), O_CREAT | O_RDWR, 0600)) {}
  ~SparseFile() override { ::close(fd_); }
  Status write(Bytes bytes) override {
    if (bytes.size() < 500'000 && ::pwrite(fd_, bytes.data(), bytes.size(), position_) !=
                                      static_cast<ssize_t>(bytes.size())) {
      return fail(ErrorCode::Io, "pwrite");
    }
    position_ += static_cast<off_t>(bytes.size());
    return {};
  }

 private:
  int fd_;
  off_t position_ = 0;
};

// A tensor of more than 4 GiB, so that its size and the offset of the next one need Zip64.
TEST(TorchWriter, WritesBeyond4GiB) {
  const std::string path = testing::temporary_directory() + "/large.pth";
  const WeightRef large = zeros({DType::F32, {4097, 1 << 18}});
  const WeightRef small = random_weight({DType::BF16, {3, 5}}, 1);
  {
    SparseFile file(path);
    Progress silent;
    ASSERT_OK(
        write_torch(file, std::vector<NamedWeight>{{"large", large}, {"small", small}}, silent));
  }
  const auto checkpoint = open(path);
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->find("large")->type(), large->type());
  EXPECT_EQ(read_floats(*checkpoint->find("small")).value(), read_floats(*small).value());
}

}  // namespace
}  // namespace diptych::checkpoint
