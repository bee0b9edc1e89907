#include "checkpoint/unpickler.h"

#include <gmock/gmock.h>

#include "checkpoint/pickle_text.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using ::testing::HasSubstr;
using testing::little_endian;
using testing::pickle_dict;
using testing::pickle_int;
using testing::pickle_text;
using namespace std::string_literals;
using Kind = PickleValue::Kind;

std::string unpickling_error(const std::string& pickle) {
  const auto result = unpickle(as_bytes(pickle));
  return result ? "no error" : result.error().to_string();
}

TEST(Unpickler, ReadsScalars) {
  const std::string text =
      "\x80\x02(NK\xffM\xff\xffJ\xfe\xff\xff\xff\x8a\x00\x8a\x02\x00\x80\x88G\x3f\xf8\0\0\0\0\0\0"s +
      pickle_int(INT64_MIN) + pickle_text("a\nb") + "t.";
  const auto pickle = unpickle(as_bytes(text));
  ASSERT_OK(pickle);
  const auto& tuple = (*pickle)[pickle->root];
  ASSERT_EQ(tuple.kind, Kind::Tuple);
  ASSERT_EQ(tuple.items.size(), 10u);
  const auto item = [&](size_t i) -> const PickleValue& { return (*pickle)[tuple.items[i]]; };
  EXPECT_EQ(item(0).kind, Kind::None);
  EXPECT_EQ(item(1).integer, 255);
  EXPECT_EQ(item(2).integer, 65535);
  EXPECT_EQ(item(3).integer, -2);
  EXPECT_EQ(item(4).integer, 0);
  EXPECT_EQ(item(5).integer, -32768);
  EXPECT_EQ(item(6).kind, Kind::Bool);
  EXPECT_EQ(item(7).number, 1.5);
  EXPECT_EQ(item(8).integer, INT64_MIN);
  EXPECT_EQ(item(9).text, "a\nb");
}

TEST(Unpickler, ReadsContainersAndMemo) {
  // {"a": [1, 2], "b": the same list, "c": OrderedDict()} in protocol 4 with a frame.
  const std::string body = "}\x94(\x8c\x01"s + "a]\x94(K\x01K\x02" + "e\x8c\x01" +
                           "bh\x01\x8c\x01" + "c\x8c\x0b" +
                           "collections\x8c\x0bOrderedDict\x93)Ru.";
  const std::string text = "\x80\x04\x95" + little_endian<uint64_t>(body.size()) + body;
  const auto pickle = unpickle(as_bytes(text));
  ASSERT_OK(pickle);
  const auto& dict = (*pickle)[pickle->root];
  ASSERT_EQ(dict.kind, Kind::Dict);
  ASSERT_EQ(dict.items.size(), 6u);
  EXPECT_EQ(dict.items[1], dict.items[3]);
  EXPECT_EQ((*pickle)[dict.items[1]].items.size(), 2u);
  EXPECT_EQ((*pickle)[dict.items[5]].kind, Kind::Dict);
}

TEST(Unpickler, KeepsCallsAndPersistentIdsAsData) {
  const auto pickle = unpickle(as_bytes("\x80\x02" + "ctorch._utils\n_rebuild_parameter\n"s +
                                        pickle_text("id") + "QN\x86R."));
  ASSERT_OK(pickle);
  const auto& call = (*pickle)[pickle->root];
  ASSERT_EQ(call.kind, Kind::Call);
  ASSERT_EQ(call.items.size(), 2u);
  EXPECT_EQ((*pickle)[call.items[0]].text, "torch._utils _rebuild_parameter");
  const auto& arguments = (*pickle)[call.items[1]];
  ASSERT_EQ(arguments.items.size(), 2u);
  EXPECT_EQ((*pickle)[arguments.items[0]].kind, Kind::PersistentId);
}

TEST(Unpickler, IgnoresMetadataOfAnOrderedDict) {
  ASSERT_OK(unpickle(as_bytes("\x80\x02" + "ccollections\nOrderedDict\n)R}"s +
                              pickle_text("_metadata") + "Nsb.")));
}

TEST(Unpickler, NamesForeignGlobals) {
  EXPECT_THAT(unpickling_error("\x80\x02" + "cposix\nsystem\n"s + pickle_text("true") + "\x85R."),
              HasSubstr("refused the global \"posix system\""));
  EXPECT_THAT(unpickling_error("\x80\x04\x8c\x08" + "builtins\x8c\x04"s + "eval\x93."),
              HasSubstr("refused the global \"builtins eval\""));
  EXPECT_THAT(unpickling_error("\x80\x02" + "ctorch\nFloatStorag\n."s), HasSubstr("refused"));
  EXPECT_THAT(unpickling_error("\x80\x02" + "ctorch\nFloatStorageX\n."s), HasSubstr("refused"));
  EXPECT_THAT(unpickling_error("\x80\x02" + "ctorch FloatStorage\n\n."s), HasSubstr("refused"));
  // A hostile name stays on one line and is cut.
  const std::string error =
      unpickling_error("\x80\x02" + "ca\x1b[31m\xff\n"s + std::string(5000, 'x') + "\n.");
  EXPECT_THAT(error, HasSubstr("\\u001b"));
  EXPECT_EQ(error.find('\n'), std::string::npos);
  EXPECT_LT(error.size(), 400u);
}

TEST(Unpickler, RefusesBombs) {
  EXPECT_THAT(unpickling_error("\x80\x02" + std::string(5'000'000, ')') + "."),
              HasSubstr("values"));
  EXPECT_THAT(unpickling_error("\x80\x02" + std::string(1000, ']') + std::string(999, 'a') + "."),
              HasSubstr("nested deeper than 64"));
  EXPECT_THAT(unpickling_error("\x80\x02Nr\xff\xff\xff\xff."s), HasSubstr("memo index 4294967295"));
  EXPECT_THAT(unpickling_error("\x80\x02j\xff\xff\xff\xff."s), HasSubstr("never stored"));
  EXPECT_THAT(unpickling_error("\x80\x02\x8a\xff" + std::string(255, '\xff') + "."),
              HasSubstr("an integer of 255 bytes"));
  EXPECT_THAT(unpickling_error("\x80\x02\x8b\xff\xff\xff\x7f."s), HasSubstr("opcode 0x8b"));
  EXPECT_THAT(unpickling_error("\x80\x02X\xff\xff\xff\xff."s),
              HasSubstr("expected 4294967295 bytes"));
  EXPECT_THAT(unpickling_error("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff."s),
              HasSubstr("frame"));
  // Doubling by reference costs nothing: 60 tuples, each of the one before twice.
  std::string doubling = "\x80\x02)";
  for (int i = 0; i < 60; ++i)
    doubling += "q"s + static_cast<char>(i) + "h" + static_cast<char>(i) + "\x86";
  ASSERT_OK(unpickle(as_bytes(doubling + ".")));
}

TEST(Unpickler, RefusesCycles) {
  EXPECT_THAT(unpickling_error("\x80\x02]q\0h\0a."s), HasSubstr("contains itself"));
  EXPECT_THAT(unpickling_error("\x80\x02}q\0Nh\0s."s), HasSubstr("contains itself"));
  // A list inside a tuple inside the list.
  EXPECT_THAT(unpickling_error("\x80\x02]q\0h\0\x85q\x01"s + "0h\0h\x01" + "a."),
              HasSubstr("opcode 0x30"));
  EXPECT_THAT(unpickling_error("\x80\x02(]q\0h\0\x85q\x01h\0h\x01"s + "at."),
              HasSubstr("became part"));
}

TEST(Unpickler, ChecksTheStack) {
  EXPECT_THAT(unpickling_error(""), HasSubstr("expected 1 bytes"));
  EXPECT_THAT(unpickling_error("\x80\x02."), HasSubstr("expected one value"));
  EXPECT_THAT(unpickling_error("\x80\x02NN."), HasSubstr("expected one value"));
  EXPECT_THAT(unpickling_error("\x80\x02N(."), HasSubstr("1 marks"));
  EXPECT_THAT(unpickling_error("\x80\x02N.N"), HasSubstr("1 bytes follow"));
  EXPECT_THAT(unpickling_error("\x80\x02t."), HasSubstr("expected a mark"));
  EXPECT_THAT(unpickling_error("\x80\x02N(\x85."),
              HasSubstr("expected 1 values on the stack, found 0"));
  EXPECT_THAT(unpickling_error("\x80\x02q\x01."), HasSubstr("expected a value"));
  EXPECT_THAT(unpickling_error("\x80\x02NNa."), HasSubstr("expected a list"));
  EXPECT_THAT(unpickling_error("\x80\x02}(Nu."), HasSubstr("keys and values"));
  EXPECT_THAT(unpickling_error("\x80\x02N)R."), HasSubstr("expected a global"));
  EXPECT_THAT(unpickling_error("\x80\x02NNb."), HasSubstr("attributes are set on a None"));
  EXPECT_THAT(unpickling_error("\x80\x01N."), HasSubstr("protocol 1"));
  EXPECT_THAT(unpickling_error("\x80\x06N."), HasSubstr("protocol 6"));
  EXPECT_THAT(unpickling_error("\x80\x02)\x81."), HasSubstr("opcode 0x81"));
  EXPECT_THAT(unpickling_error("\x80\x02" + "ctorch"s), HasSubstr("does not end"));
}

TEST(Unpickler, EveryPrefixIsAnError) {
  const std::string whole = pickle_dict(
      pickle_text("a") + testing::pickle_tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1}));
  ASSERT_OK(unpickle(as_bytes(whole)));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(unpickling_error(whole.substr(0, size)), "no error") << size;
  }
}

TEST(Unpickler, StorageClassesMapBothWays) {
  EXPECT_EQ(storage_dtype("torch BFloat16Storage"), DType::BF16);
  EXPECT_EQ(storage_dtype("collections OrderedDict"), std::nullopt);
  EXPECT_EQ(storage_class(DType::F16), "torch HalfStorage");
  EXPECT_EQ(storage_class(DType::Int4), "");
}

// A tuple of the memo may be an argument any number of times.
TEST(Unpickler, MemoryIsLinearInThePickle) {
  constexpr size_t kCount = 5000;
  std::string pickle = "\x80\x02((" + std::string(kCount, 'N') + "tq\x01"s;
  pickle += "ctorch._utils\n_rebuild_parameter\nq\x02"s;
  for (size_t i = 0; i < kCount; ++i) pickle += "h\x02h\x01R"s;
  const auto result = unpickle(as_bytes(pickle + "t."));
  ASSERT_OK(result);
  size_t items = 0;
  for (const PickleValue& value : result->values) items += value.items.size();
  EXPECT_GT(items, 2 * kCount);
  EXPECT_LE(items, pickle.size());
}

}  // namespace
}  // namespace diptych::checkpoint
