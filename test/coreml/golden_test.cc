// Upstream's real delegates: read, compared with what coremltools says of them, written and read
// again.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "coreml/delegate.h"
#include "coreml/memory_fs.h"
#include "mil/text.h"
#include "pte/reader.h"
#include "testing/shared_data.h"

namespace diptych::coreml {
namespace {

struct Partition {
  std::string file;  // "st_multi_fp16_c4w_e80"
  size_t index = 0;
  std::string method;
  std::optional<Reference> reference;
  Bytes blob;
  std::shared_ptr<const MappedFile> owner;

  std::string name() const { return fmt::format("{} {} {}", file, method, index); }
};

// Every delegate of every method of a file.
Result<std::vector<Partition>> partitions(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  const pte::Program program = TRY(pte::read(file->bytes()));
  std::vector<Partition> result;
  for (const pte::Method& method : program.methods) {
    for (size_t i = 0; i < method.delegates.size(); ++i) {
      Partition part{std::filesystem::path(path).stem().string(), i, method.name, {}, {}, file};
      part.blob = method.delegates[i].processed.bytes();
      if (is_reference(part.blob)) {
        part.reference = TRY(parse_reference(part.blob));
        const pte::Blob* data = pte::find_named_data(program, part.reference->key);
        if (data == nullptr) return not_found("no named data {}", part.reference->key);
        part.blob = data->bytes();
      }
      result.push_back(std::move(part));
    }
  }
  return result;
}

Json features(const std::vector<mil::Value*>& values) {
  Json result = Json::array();
  for (const mil::Value* value : values) {
    result.push_back({{"name", value->name},
                      {"dtype", std::string(name(value->type.dtype))},
                      {"shape", value->type.shape}});
  }
  return result;
}

// Operations by type, constants aside, in alphabetical order.
std::map<std::string, int64_t> histogram(const mil::Function& function) {
  std::map<std::string, int64_t> counts;
  for (const auto& op : function.ops) ++counts[op->type];
  return counts;
}

// Lines of the text form in alphabetical order: the order of declared constants is free.
std::vector<std::string> sorted_lines(const mil::Program& program) {
  const std::string text = mil::print(program);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

class GoldenDelegates : public ::testing::Test {
 protected:
  void SetUp() override {
    DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
    const std::filesystem::path folder = ::diptych::testing::shared_data("golden/pte");
    std::set<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      paths.insert(entry.path().string());
    }
    for (const std::string& path : paths) {
      auto parts = partitions(path);
      ASSERT_OK(parts);
      parts_.insert(parts_.end(), parts->begin(), parts->end());
    }
    ASSERT_GE(parts_.size(), 16u);
  }
  std::vector<Partition> parts_;
};

TEST_F(GoldenDelegates, AgreeWithCoremltools) {
  size_t compared = 0;
  for (const Partition& part : parts_) {
    SCOPED_TRACE(part.name());
    const auto delegate = read_delegate(part.blob, part.owner);
    ASSERT_OK(delegate);
    const auto call =
        resolve_function(*delegate, part.method, part.reference ? &*part.reference : nullptr);
    ASSERT_OK(call);
    EXPECT_EQ(call->function->name, part.reference ? part.method : "main");

    const std::string path = ::diptych::testing::shared_data(
        fmt::format("golden/mil/{}.part{}.json", part.file, part.index));
    if (path.empty()) continue;
    const Json report = *parse_json(*read_text_file(path));
    const Json& expected = report["functions"][call->function->name];
    EXPECT_EQ(features(call->function->inputs), expected["inputs"]);
    EXPECT_EQ(features(call->function->outputs), expected["outputs"]);
    std::map<std::string, int64_t> expected_counts;
    for (const auto& entry : expected["histogram"].items()) {
      if (entry.key() != "const") expected_counts[entry.key()] = entry.value().get<int64_t>();
    }
    EXPECT_EQ(histogram(*call->function), expected_counts);
    EXPECT_EQ(delegate->model.specification_version, report["specification_version"]);
    if (report.contains("default_function")) {
      EXPECT_EQ(delegate->model.default_function, report["default_function"]);
    }
    const FileView& file =
        delegate->files.at("model.mlpackage/Data/com.apple.CoreML/weights/weight.bin");
    const auto records = WeightFile::open(file.bytes, nullptr)->entries();
    ASSERT_OK(records);
    EXPECT_EQ(records->size(), report["weights"]["records"]);
    // Every blob of the function is one weight, however many constants refer to it.
    std::set<const std::byte*> blobs;
    for (const mil::Value* value : call->function->constants()) {
      if (!value->weight || !value->weight->bytes()) continue;
      const std::byte* data = value->weight->bytes()->data();
      if (data >= file.bytes.data() && data < file.bytes.data() + file.bytes.size()) {
        blobs.insert(data);
      }
    }
    EXPECT_EQ(blobs.size(), expected["blobs"]);
    ++compared;
  }
  EXPECT_GT(compared, 0u);
}

TEST_F(GoldenDelegates, SurviveWritingAndReading) {
  for (const Partition& part : parts_) {
    if (part.reference && part.method != "forward") continue;  // the same blob again
    SCOPED_TRACE(part.name());
    const auto original = read_delegate(part.blob, part.owner);
    ASSERT_OK(original);
    DigestCache cache;
    const auto written = write_delegate(original->model.program, original->root_name, cache);
    ASSERT_OK(written);
    EXPECT_EQ(written->key.empty(), !part.reference);
    auto bytes = std::make_shared<const std::vector<std::byte>>(*read_all(*written->blob));
    const auto again = read_delegate(*bytes, bytes);
    ASSERT_OK(again);
    EXPECT_EQ(sorted_lines(again->model.program), sorted_lines(original->model.program));
    EXPECT_EQ(again->model.multifunction, original->model.multifunction);
    EXPECT_EQ(again->model.default_function, original->model.default_function);

    // Names reach the same values in the same order.
    const Reference* reference = part.reference ? &*part.reference : nullptr;
    const auto before = resolve_function(*original, part.method, reference);
    const auto after = resolve_function(*again, part.method, reference);
    ASSERT_OK(before);
    ASSERT_OK(after);
    ASSERT_EQ(after->inputs.size(), before->inputs.size());
    for (size_t i = 0; i < before->inputs.size(); ++i) {
      EXPECT_EQ(after->inputs[i]->name, before->inputs[i]->name);
    }

    // What we wrote, we write again byte for byte.
    DigestCache fresh;
    const auto rewritten = write_delegate(again->model.program, again->root_name, fresh);
    ASSERT_OK(rewritten);
    const auto rewritten_bytes = read_all(*rewritten->blob);
    const MemoryFs first = *read_memory_fs(*bytes, nullptr);
    const MemoryFs second = *read_memory_fs(*rewritten_bytes, nullptr);
    for (const auto& [path, file] : first.files) {
      EXPECT_TRUE(std::ranges::equal(file.bytes, second.files.at(path).bytes)) << path;
    }
    EXPECT_EQ(*rewritten_bytes, *bytes);
  }
}

}  // namespace
}  // namespace diptych::coreml
