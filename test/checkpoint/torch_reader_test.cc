#include "checkpoint/torch_reader.h"

#include <gmock/gmock.h>

#include <cstring>
#include <numeric>

#include "base/file.h"
#include "checkpoint/pickle_text.h"
#include "checkpoint/torch_writer.h"
#include "checkpoint/zip.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::joined;
using testing::little_endian;
using testing::pickle_dict;
using testing::pickle_tensor;
using testing::pickle_text;
using testing::shared_data;
using namespace std::string_literals;

using Files = std::vector<std::pair<std::string, std::string>>;

std::string zip(const Files& files) {
  MemorySink sink;
  ZipWriter writer(sink);
  for (const auto& [name, data] : files) {
    EXPECT_TRUE(writer.add(name, *memory_source(data)).has_value());
  }
  EXPECT_TRUE(writer.finish().has_value());
  return std::string(as_text(sink.data));
}

// An archive whose storage "0" holds the floats 0 to 11 and whose pickle is `pickle`.
std::string archive(const std::string& pickle, Files more = {}) {
  std::string floats;
  for (int i = 0; i < 12; ++i) floats += little_endian(static_cast<float>(i));
  Files files = {{"m/data.pkl", pickle}, {"m/data/0", floats}};
  files.insert(files.end(), more.begin(), more.end());
  return zip(files);
}

std::string view(int64_t offset, const std::vector<int64_t>& shape,
                 const std::vector<int64_t>& stride) {
  return pickle_tensor("FloatStorage", "0", 12, offset, shape, stride);
}

Result<Checkpoint> read(const std::string& bytes) {
  const auto owner = std::make_shared<const std::string>(bytes);
  return open(as_bytes(*owner), owner, "test.pth");
}

std::string error_of(const std::string& bytes) {
  const auto result = read(bytes);
  return result ? "no error" : result.error().to_string();
}

std::string error_of_tensor(const std::string& tensor) {
  return error_of(archive(pickle_dict(pickle_text("w") + tensor)));
}

std::vector<float> floats(const Weight& weight) { return read_floats(weight).value(); }

TEST(TorchReader, ReadsViewsOfASharedStorage) {
  const std::string items = pickle_text("whole") + view(0, {3, 4}, {4, 1}) +  //
                            pickle_text("turned") + view(0, {4, 3}, {1, 4}) +
                            pickle_text("column") + view(1, {3}, {4}) +       //
                            pickle_text("tail") + view(8, {1, 4}, {99, 1}) +  //
                            pickle_text("cube") + view(0, {2, 2, 3}, {3, 6, 1}) +
                            pickle_text("scalar") + view(7, {}, {}) + pickle_text("empty") +
                            view(12, {0, 4}, {4, 1}) + pickle_text("again") +
                            view(0, {3, 4}, {4, 1});
  const auto checkpoint = read(archive(pickle_dict(items)));
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->source, "test.pth");
  std::vector<std::string> names;
  for (const auto& tensor : checkpoint->tensors) names.push_back(tensor.first);
  EXPECT_THAT(names,
              ElementsAre("whole", "turned", "column", "tail", "cube", "scalar", "empty", "again"));

  std::vector<float> all(12);
  std::iota(all.begin(), all.end(), 0.f);
  EXPECT_EQ(floats(*checkpoint->find("whole")), all);
  EXPECT_THAT(floats(*checkpoint->find("turned")),
              ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
  EXPECT_THAT(read_floats(*checkpoint->find("turned"), 2, 1).value(), ElementsAre(2, 6, 10));
  EXPECT_THAT(floats(*checkpoint->find("column")), ElementsAre(1, 5, 9));
  EXPECT_THAT(floats(*checkpoint->find("tail")), ElementsAre(8, 9, 10, 11));
  EXPECT_THAT(floats(*checkpoint->find("cube")), ElementsAre(0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11));
  EXPECT_THAT(floats(*checkpoint->find("scalar")), ElementsAre(7));
  EXPECT_EQ(checkpoint->find("empty")->elements(), 0u);
  EXPECT_EQ(checkpoint->find("missing"), nullptr);

  // Contiguous views lie in the file; the same view is the same weight.
  EXPECT_TRUE(checkpoint->find("whole")->bytes().has_value());
  EXPECT_TRUE(checkpoint->find("tail")->bytes().has_value());
  EXPECT_FALSE(checkpoint->find("turned")->bytes().has_value());
  EXPECT_EQ(checkpoint->find("whole"), checkpoint->find("again"));
  DigestCache cache;
  EXPECT_NE(checkpoint->find("whole")->digest(cache), checkpoint->find("turned")->digest(cache));
}

TEST(TorchReader, WeightsKeepTheFileAlive) {
  auto owner = std::make_shared<const std::string>(archive(pickle_dict(
      pickle_text("a") + view(0, {3, 4}, {4, 1}) + pickle_text("b") + view(0, {4, 3}, {1, 4}))));
  const std::weak_ptr<const std::string> watch = owner;
  auto checkpoint = open(as_bytes(*owner), owner, "");
  ASSERT_OK(checkpoint);
  owner.reset();
  for (const char* name : {"a", "b"}) {
    WeightRef weight = checkpoint->find(name);
    auto rest = std::move(*checkpoint);
    EXPECT_FALSE(watch.expired());
    *checkpoint = std::move(rest);
  }
  WeightRef gathered = checkpoint->find("b");
  *checkpoint = {};
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(floats(*gathered)[1], 4);
  gathered.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(TorchReader, UnwrapsModelAndParameters) {
  const std::string parameter = "ctorch._utils\n_rebuild_parameter\n" + view(4, {4}, {1}) + "\x88" +
                                "ccollections\nOrderedDict\n)R\x87R";
  const std::string items = pickle_text("epoch") + "K\x07" + pickle_text("model") + "}" +
                            pickle_text("w") + parameter + "s";
  const auto checkpoint = read(archive(pickle_dict(items)));
  ASSERT_OK(checkpoint);
  ASSERT_EQ(checkpoint->tensors.size(), 1u);
  EXPECT_THAT(floats(*checkpoint->find("w")), ElementsAre(4, 5, 6, 7));
}

TEST(TorchReader, ReadsEveryElementType) {
  const std::pair<const char*, DType> kTypes[] = {
      {"HalfStorage", DType::F16},   {"BFloat16Storage", DType::BF16},
      {"DoubleStorage", DType::F64}, {"LongStorage", DType::Int64},
      {"IntStorage", DType::Int32},  {"ShortStorage", DType::Int16},
      {"CharStorage", DType::Int8},  {"ByteStorage", DType::UInt8},
      {"BoolStorage", DType::Bool}};
  for (const auto& [storage, dtype] : kTypes) {
    const int64_t elements = 48 * 8 / bit_width(dtype);
    const auto checkpoint = read(archive(
        pickle_dict(pickle_text("w") + pickle_tensor(storage, "0", elements, 0, {elements}, {1}))));
    ASSERT_OK(checkpoint);
    EXPECT_EQ(checkpoint->find("w")->type(), (TensorType{dtype, {elements}}));
  }
}

TEST(TorchReader, NamesWhatItRefuses) {
  EXPECT_THAT(error_of_tensor("cos\nsystem\n" + pickle_text("true") + "\x85R"),
              ::testing::StartsWith("test.pth: \"m/data.pkl\": pickle opcode at offset"));
  EXPECT_THAT(error_of_tensor("cos\nsystem\n"), HasSubstr("refused the global \"os system\""));
  EXPECT_THAT(error_of_tensor("K\x01"), HasSubstr("entry \"w\": expected a tensor, found a int"));
  EXPECT_THAT(error_of_tensor("}"), HasSubstr("found a dict"));
  EXPECT_THAT(error_of(archive("\x80\x02K\x01.")), HasSubstr("expected a state dict, found a int"));
  EXPECT_THAT(error_of(archive("\x80\x02}.")), HasSubstr("the state dict is empty"));
  const std::string good = pickle_dict(pickle_text("w") + view(0, {12}, {1}));
  EXPECT_EQ(error_of(archive(good)), "no error");
  EXPECT_EQ(error_of(archive(good, {{"m/byteorder", "little"}})), "no error");
  EXPECT_THAT(error_of(archive(good, {{"m/byteorder", "big"}})), HasSubstr("big-endian"));
  EXPECT_THAT(error_of(archive(good, {{"m/byteorder", "?"}})), HasSubstr("found \"?\""));
  EXPECT_THAT(error_of(archive(good, {{"m/constants.pkl", ""}})), HasSubstr("TorchScript"));
  EXPECT_THAT(error_of(archive(good, {{"n/data.pkl", ""}})), HasSubstr("two pickles"));
  EXPECT_THAT(error_of(zip({{"data.pkl", good}})), HasSubstr("not a torch file"));
  EXPECT_THAT(error_of(archive(pickle_dict(pickle_text("w") + view(0, {1}, {1}) + pickle_text("w") +
                                           view(0, {1}, {1})))),
              HasSubstr("two entries \"w\""));
}

TEST(TorchReader, ChecksViewsAgainstTheirStorage) {
  EXPECT_THAT(error_of_tensor(view(1, {3, 4}, {4, 1})),
              HasSubstr("13 elements of the storage are needed"));
  EXPECT_THAT(error_of_tensor(view(0, {3, 4}, {1, 5})), HasSubstr("18 elements"));
  EXPECT_THAT(error_of_tensor(view(0, {3, 4}, {4})), HasSubstr("2 dimensions, but 1 strides"));
  EXPECT_THAT(error_of_tensor(view(0, {1000000}, {0})), HasSubstr("repeats the 12 elements"));
  EXPECT_THAT(error_of_tensor(view(0, {2}, {INT64_MAX})),
              HasSubstr("elements of the storage are needed"));
  EXPECT_THAT(error_of_tensor(view(0, {3}, {INT64_MAX})), HasSubstr("9223372036854775807"));
  EXPECT_THAT(error_of_tensor(view(0, {1LL << 40, 1LL << 40}, {0, 0})), HasSubstr("overflow"));
  EXPECT_THAT(error_of_tensor(view(INT64_MAX, {3, 3}, {INT64_MAX, INT64_MAX})),
              HasSubstr("overflow"));
  EXPECT_THAT(error_of_tensor(view(0, {-1}, {1})), HasSubstr("shape: found -1"));
  EXPECT_THAT(error_of_tensor(view(0, {2}, {-1})), HasSubstr("strides: found -1"));
  EXPECT_THAT(error_of_tensor(view(-1, {2}, {1})), HasSubstr("offset in a storage: found -1"));
  EXPECT_THAT(error_of_tensor(pickle_tensor("FloatStorage", "1", 12, 0, {2}, {1})),
              HasSubstr("no zip entry \"m/data/1\""));
  EXPECT_THAT(error_of_tensor(pickle_tensor("FloatStorage", "../../x", 12, 0, {2}, {1})),
              HasSubstr("its storage is missing"));
  EXPECT_THAT(error_of_tensor(pickle_tensor("FloatStorage", "0", 13, 0, {2}, {1})),
              HasSubstr("should hold 13 elements fp32, found 48 bytes"));
  EXPECT_THAT(error_of_tensor(pickle_tensor("OrderedDict", "0", 12, 0, {2}, {1})),
              HasSubstr("refused"));
}

TEST(TorchReader, TellsOtherFormatsApart) {
  EXPECT_THAT(error_of(""), HasSubstr("empty"));
  EXPECT_THAT(error_of("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02"s),
              HasSubstr("before torch 1.6"));
  EXPECT_THAT(error_of("{\"dim\": 64}"), HasSubstr("swapped"));
  EXPECT_THAT(error_of("hello"), HasSubstr("not a checkpoint"));
  EXPECT_THAT(error_of("PK\x03\x04"), HasSubstr("truncated"));
  EXPECT_EQ(open("/").error().code, ErrorCode::NotFound);
  EXPECT_EQ(open("/no/such/file").error().code, ErrorCode::NotFound);
}

TEST(TorchReader, ReadsAtEveryAlignment) {
  std::string halves;
  for (int i = 0; i < 12; ++i) halves += little_endian(static_cast<uint16_t>(0x3C00 + i));
  const std::string bytes = archive(
      pickle_dict(pickle_text("a") + view(3, {3, 3}, {3, 1}) + pickle_text("b") +
                  view(0, {4, 3}, {1, 4}) + pickle_text("c") +
                  pickle_tensor("HalfStorage", "1", 12, 1, {5, 2}, {2, 1}) + pickle_text("d") +
                  pickle_tensor("HalfStorage", "1", 12, 0, {2, 5}, {1, 2})),
      {{"m/data/1", halves}});
  const auto expected = read(bytes);
  ASSERT_OK(expected);
  for (size_t shift = 0; shift < 64; ++shift) {
    const auto owner = std::make_shared<const std::string>(joined(std::string(shift, '?'), bytes));
    const auto shifted = open(as_bytes(*owner).subspan(shift), owner, "");
    ASSERT_OK(shifted);
    for (const auto& [name, weight] : expected->tensors) {
      EXPECT_EQ(floats(*shifted->find(name)), floats(*weight)) << name << " shifted by " << shift;
    }
  }
}

TEST(TorchReader, DamageIsAnErrorOrHarmless) {
  const std::string good = archive(pickle_dict(pickle_text("a") + view(0, {3, 4}, {4, 1})));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(error_of(good.substr(0, size)), "no error") << size;
  }
  const size_t pickle = good.find("\x80\x02}("), pickle_end = good.find("u.", pickle) + 2;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string damaged = good;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const auto result = read(damaged);
    const bool in_pickle = bit / 8 >= pickle && bit / 8 < pickle_end;
    if (in_pickle) {
      ASSERT_FALSE(result.has_value()) << bit;
      EXPECT_THAT(result.error().message, HasSubstr("is damaged"));
    }
    if (!result) continue;
    EXPECT_EQ(result->tensors.size(), 1u);
    EXPECT_EQ(floats(*result->tensors[0].second).size(), 12u);
  }
}

// Sums computed by torch in double precision from the golden files.
TEST(TorchReader, ReadsFilesSavedByTorch) {
  struct Expected {
    const char* model;
    size_t tensors;
    const char* name;
    TensorType type;
    double sum;
  };
  const Expected kExpected[] = {
      {"stories", 48, "layers.4.feed_forward.w2.weight", {DType::F32, {64, 172}}, 19.54378776},
      {"stories", 48, "norm.weight", {DType::F32, {64}}, 115.9527623},
      {"gqa_untied", 39, "tok_embeddings.weight", {DType::F32, {1000, 128}}, -1.974720313},
      {"gqa_untied", 39, "layers.3.attention.wk.weight", {DType::F32, {32, 128}}, -2.753485035},
      {"wide", 30, "layers.2.attention.wo.weight", {DType::F32, {96, 128}}, -12.21276108},
      {"qknorm", 36, "layers.1.attention.q_norm.weight", {DType::F32, {64}}, 62.35826093},
      {"bias_static", 27, "layers.0.attention.wqs.0.bias", {DType::F32, {64}}, -5.187988102},
  };
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/models");
  for (const Expected& expected : kExpected) {
    const auto checkpoint =
        open(shared_data(joined("golden/models/", expected.model, "/model.pth")));
    ASSERT_OK(checkpoint);
    EXPECT_EQ(checkpoint->tensors.size(), expected.tensors);
    const WeightRef weight = checkpoint->find(expected.name);
    ASSERT_NE(weight, nullptr) << expected.name;
    EXPECT_EQ(weight->type(), expected.type);
    EXPECT_TRUE(weight->bytes().has_value());
    const auto values = floats(*weight);
    EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0), expected.sum, 1e-6);
  }
}

TEST(TorchReader, FindsTheStateDictInACheckpoint) {
  for (const char* key : {"model", "state_dict", "model_state_dict", "module"}) {
    const std::string dict =
        "}(" + pickle_text("w") + view(0, {3, 4}, {4, 1}) + "u" + pickle_text("epoch");
    const auto checkpoint =
        read(archive(pickle_dict(pickle_text(key) + dict + testing::pickle_int(3))));
    ASSERT_OK(checkpoint);
    ASSERT_EQ(checkpoint->tensors.size(), 1u) << key;
    EXPECT_EQ(checkpoint->tensors[0].first, "w");
  }
  const std::string dict = "}(" + pickle_text("w") + view(0, {3, 4}, {4, 1}) + "u";
  EXPECT_THAT(
      error_of(archive(pickle_dict(pickle_text("model") + dict + pickle_text("module") + dict))),
      HasSubstr("two state dicts, \"model\" and \"module\""));
}

TEST(TorchReader, DifferentViewsOfOneStorageAreBounded) {
  const std::string floats(1 << 20, '\0');
  const auto views = [&](int64_t count) {
    std::string items;
    for (int64_t i = 0; i < count; ++i) {
      items += pickle_text(fmt::format("t{}", i)) +
               pickle_tensor("FloatStorage", "1", 1 << 18, i, {1000, 250}, {250, 1});
    }
    return error_of(archive(pickle_dict(items), {{"m/data/1", floats}}));
  };
  EXPECT_EQ(views(4), "no error");
  EXPECT_THAT(views(6), HasSubstr("more than 4 times the file's"));
}

TEST(TorchReader, RefusesShapesAndKeysBeyondReason) {
  const std::vector<int64_t> ones(2000, 1);
  EXPECT_THAT(error_of_tensor(view(0, ones, ones)),
              HasSubstr("shape: 2000 axes, expected at most 8"));
  const std::string key(65, '0');
  EXPECT_THAT(error_of_tensor(pickle_tensor("FloatStorage", key, 12, 0, {3, 4}, {4, 1})),
              HasSubstr("key of a storage: 65 bytes, expected at most 64"));
  const std::string folder(2000, 'm');
  EXPECT_THAT(error_of(zip({{folder + "/data.pkl", pickle_dict("")}})),
              HasSubstr("a name of 2000 bytes"));
}

}  // namespace
}  // namespace diptych::checkpoint
