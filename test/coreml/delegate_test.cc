#include "coreml/delegate.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coreml/memory_fs.h"
#include "coreml/package.h"
#include "coreml/sample.h"
#include "testing/shared_data.h"

namespace diptych::coreml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Written {
  DelegateBlob delegate;
  std::shared_ptr<const std::vector<std::byte>> bytes;
};

Written write(const std::map<std::string, int64_t>& functions) {
  DigestCache cache;
  auto program = testing::sample_program(functions);
  EXPECT_TRUE(program.has_value());
  auto delegate = write_delegate(*program, "lowered_module", cache);
  EXPECT_TRUE(delegate.has_value()) << delegate.error().to_string();
  auto bytes = std::make_shared<const std::vector<std::byte>>(*read_all(*delegate->blob));
  return {*delegate, bytes};
}

// The files of a blob as entries to write, to be edited.
std::map<std::string, SourceRef> files_of(const Written& written) {
  std::map<std::string, SourceRef> files;
  const MemoryFs fs = *read_memory_fs(*written.bytes, written.bytes);
  for (const auto& [path, view] : fs.files) files[path] = view_source(view);
  return files;
}

Result<DelegateModel> read_files(const std::map<std::string, SourceRef>& files) {
  std::vector<FileEntry> entries;
  for (const auto& [path, source] : files) entries.push_back({path, source});
  auto bytes =
      std::make_shared<const std::vector<std::byte>>(*read_all(**write_memory_fs("root", entries)));
  return read_delegate(*bytes, bytes);
}

std::string error_of(const Result<DelegateModel>& result) {
  return result ? "no error" : result.error().to_string();
}

std::vector<std::string> names(const std::vector<const mil::Value*>& values) {
  std::vector<std::string> result;
  for (const mil::Value* value : values) result.push_back(value->name);
  return result;
}

TEST(Delegate, FormatsReferencesLikeUpstream) {
  const std::string text = format_reference({"coreml_x", "forward"});
  EXPECT_EQ(text, R"(CMJR{"version": 1, "key": "coreml_x", "functionName": "forward"})");
  const auto reference = parse_reference(as_bytes(text));
  ASSERT_OK(reference);
  EXPECT_EQ(reference->key, "coreml_x");
  EXPECT_EQ(reference->function_name, "forward");
  EXPECT_EQ(format_reference({"k\"", std::nullopt}), R"(CMJR{"version": 1, "key": "k\""})");
  EXPECT_FALSE(parse_reference(as_bytes(R"(CMJR{"key":"k"})"))->function_name.has_value());
}

TEST(Delegate, RefusesBadReferences) {
  for (const char* text : {"", "CMJ", "CMJR", "CMJR[]", "CMJR{}", R"(CMJR{"key":1})",
                           R"(CMJR{"key":"k","functionName":2})", R"(XMJR{"key":"k"})"}) {
    EXPECT_FALSE(parse_reference(as_bytes(text)).has_value()) << text;
  }
}

TEST(Delegate, ReadsBothShapesOfMetadata) {
  const auto single =
      parse_metadata(R"({"inputNames":["a","b"],"outputNames":["c"],"identifier":"i"})");
  ASSERT_OK(single);
  EXPECT_FALSE(single->is_multifunction());
  EXPECT_THAT(single->names.inputs, ElementsAre("a", "b"));
  EXPECT_EQ(format_metadata(*single),
            R"({"inputNames":["a","b"],"outputNames":["c"],"identifier":"i"})");
  const std::string text =
      R"({"identifier":"i","methods":{"forward":{"inputNames":[],"outputNames":["c"]}}})";
  const auto multi = parse_metadata(text);
  ASSERT_OK(multi);
  EXPECT_TRUE(multi->is_multifunction());
  EXPECT_EQ(format_metadata(*multi), text);
}

TEST(Delegate, RefusesBadMetadata) {
  for (const char* text : {
           "[]",
           R"({"inputNames":[],"outputNames":["c"]})",
           R"({"inputNames":[],"outputNames":["c"],"identifier":""})",
           R"({"inputNames":[],"outputNames":[],"identifier":"i"})",
           R"({"inputNames":["a","a"],"outputNames":["c"],"identifier":"i"})",
           R"({"inputNames":[1],"outputNames":["c"],"identifier":"i"})",
           R"({"identifier":"i","methods":{}})",
           R"({"identifier":"i","methods":[]})",
           R"({"identifier":"i","methods":{"f":{"inputNames":[]}}})",
       }) {
    EXPECT_FALSE(parse_metadata(text).has_value()) << text;
  }
}

TEST(Delegate, ASingleFunctionIsItsOwnPayload) {
  const Written written = write({{"forward", 1}});
  EXPECT_EQ(written.delegate.key, "");
  EXPECT_FALSE(is_reference(*written.bytes));
  const auto delegate = read_delegate(*written.bytes, written.bytes);
  ASSERT_OK(delegate);
  EXPECT_EQ(delegate->root_name, "lowered_module");
  EXPECT_EQ(delegate->metadata.identifier, written.delegate.identifier);
  const auto function = resolve_function(*delegate, "anything", nullptr);
  ASSERT_OK(function);
  EXPECT_EQ(function->function->name, "main");
  EXPECT_THAT(names(function->inputs), ElementsAre("x", "index"));
  EXPECT_THAT(names(function->outputs), ElementsAre("linear", "concat", "cast"));
}

TEST(Delegate, PartitionsOfAMethodAreFoundByReference) {
  const Written written = write({{"forward__0", 1}, {"forward__1", 4}});
  const auto delegate = read_delegate(*written.bytes, written.bytes);
  ASSERT_OK(delegate);
  const Reference second{written.delegate.key, "forward__1"};
  const auto function = resolve_function(*delegate, "forward", &second);
  ASSERT_OK(function);
  EXPECT_EQ(to_string(function->inputs[0]->type), "fp16[1,4,32]");
  EXPECT_EQ(resolve_function(*delegate, "forward", nullptr).error().to_string(),
            "metadata.json has no method \"forward\"");
}

TEST(Delegate, SeveralFunctionsAreFoundByReferenceOrMethod) {
  const Written written = write({{"forward", 1}, {"prefill", 4}});
  EXPECT_EQ(written.delegate.key, "coreml_" + written.delegate.identifier);
  const auto delegate = read_delegate(*written.bytes, written.bytes);
  ASSERT_OK(delegate);
  const auto shape = [&](std::string_view method, const Reference* reference) {
    const auto function = resolve_function(*delegate, method, reference);
    return function ? to_string(function->inputs[0]->type) : function.error().to_string();
  };
  EXPECT_EQ(shape("forward", nullptr), "fp16[1,1,32]");
  EXPECT_EQ(shape("prefill", nullptr), "fp16[1,4,32]");
  const Reference to_prefill{written.delegate.key, "prefill"}, unnamed{written.delegate.key, {}};
  EXPECT_EQ(shape("prefill", &to_prefill), "fp16[1,4,32]");
  EXPECT_EQ(shape("forward", &to_prefill), "fp16[1,4,32]");
  EXPECT_EQ(shape("forward", &unnamed), "fp16[1,1,32]");
  const Reference nowhere{written.delegate.key, "verify"};
  EXPECT_EQ(shape("forward", &nowhere), "the model has no function \"verify\"");
  EXPECT_EQ(shape("verify", nullptr), "metadata.json has no method \"verify\"");
}

TEST(Delegate, PutsWeightsFirstSoThatTheyAreAligned) {
  const Written written = write({{"forward", 1}, {"prefill", 4}});
  const auto delegate = read_delegate(*written.bytes, written.bytes);
  ASSERT_OK(delegate);
  for (const mil::Value* value : delegate->model.program.functions[0]->constants()) {
    if (!value->weight || value->weight->elements() < 10) continue;
    EXPECT_EQ((value->weight->bytes()->data() - written.bytes->data()) % 64, 0) << value->name;
  }
}

TEST(Delegate, IdentifiersFollowTheContent) {
  EXPECT_EQ(*write({{"f", 1}}).bytes, *write({{"f", 1}}).bytes);
  EXPECT_NE(write({{"f", 1}}).delegate.identifier, write({{"f", 2}}).delegate.identifier);
  // Equal models, other weights.
  const auto identifier = [](uint64_t seed) {
    DigestCache cache;
    testing::SampleWeights weights;
    weights.data = random_weight(weights.data->type(), seed);
    mil::Program program;
    program.functions.push_back(*testing::sample_function("f", 1, weights));
    return write_delegate(program, "root", cache)->identifier;
  };
  EXPECT_EQ(identifier(5), identifier(5));
  EXPECT_NE(identifier(5), identifier(6));
}

TEST(Delegate, IgnoresOtherFilesAndRefusesCompiledModels) {
  auto files = files_of(write({{"forward", 1}}));
  files["debug_info.json"] = memory_source("{}");
  files["model.mlmodelc/model.mil"] = memory_source("program");
  ASSERT_OK(read_files(files));
  const SourceRef metadata = files["metadata.json"];
  files.erase("metadata.json");
  EXPECT_THAT(error_of(read_files(files)), HasSubstr("no metadata.json"));
  EXPECT_THAT(error_of(read_files({{"metadata.json", metadata},
                                   {"model.mlmodelc/model.mil", memory_source("program")}})),
              HasSubstr("compiled model (.mlmodelc)"));
  EXPECT_THAT(error_of(read_files({{"metadata.json", metadata}})), HasSubstr("holds no model"));
}

TEST(Delegate, ChecksNamesAgainstTheModel) {
  const auto resolve = [](const char* metadata) {
    auto files = files_of(write({{"forward", 1}}));
    files["metadata.json"] = memory_source(metadata);
    const auto delegate = read_files(files);
    if (!delegate) return delegate.error().to_string();
    const auto function = resolve_function(*delegate, "forward", nullptr);
    return function ? fmt::format("{}", fmt::join(names(function->inputs), " "))
                    : function.error().to_string();
  };
  EXPECT_EQ(resolve(R"({"identifier":"i","inputNames":["index","x"],"outputNames":["cast"]})"),
            "index x");
  EXPECT_THAT(resolve(R"({"identifier":"i","inputNames":["x"],"outputNames":["cast"]})"),
              HasSubstr("names 1 inputs, the model has 2"));
  EXPECT_THAT(resolve(R"({"identifier":"i","inputNames":["x","y"],"outputNames":["cast"]})"),
              HasSubstr("\"y\" is not an input"));
  EXPECT_THAT(resolve(R"({"identifier":"i","inputNames":["x","index"],"outputNames":["x"]})"),
              HasSubstr("\"x\" is not an output"));
}

TEST(Package, IsFoundThroughItsManifest) {
  auto files = files_of(write({{"forward", 1}}));
  const std::string base = "model.mlpackage/";
  const std::string data = base + "Data/";
  const auto manifest = [](std::string_view path) {
    return memory_source(fmt::format(
        R"({{"rootModelIdentifier":"r","itemInfoEntries":{{"r":{{"path":"{}"}}}}}})", path));
  };
  // Elsewhere than usual.
  auto moved = files;
  moved[data + "m/weights/weight.bin"] = files[data + "com.apple.CoreML/weights/weight.bin"];
  moved[data + "m/x.mlmodel"] = files[data + "com.apple.CoreML/model.mlmodel"];
  moved[base + "Manifest.json"] = manifest("m/x.mlmodel");
  ASSERT_OK(read_files(moved));

  files[base + "Manifest.json"] = manifest("../../metadata.json");
  EXPECT_THAT(error_of(read_files(files)), HasSubstr("not a plain relative path"));
  files[base + "Manifest.json"] = manifest("nowhere.mlmodel");
  EXPECT_THAT(error_of(read_files(files)), HasSubstr("has no file"));
  files[base + "Manifest.json"] = memory_source("{}");
  EXPECT_THAT(error_of(read_files(files)), HasSubstr("rootModelIdentifier"));
}

TEST(Package, ManifestListsModelAndWeights) {
  const auto model = write_model(*testing::sample_program({{"main", 1}}));
  ASSERT_OK(model);
  const auto files = package_files(*model, {1, 2});
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].path, "Data/com.apple.CoreML/weights/weight.bin");
  EXPECT_EQ(files[1].path, "Data/com.apple.CoreML/model.mlmodel");
  const auto bytes = read_all(*files[2].contents);
  const std::string text(as_text(*bytes));
  EXPECT_EQ(text.size(), 617u) << "as long as upstream's";
  EXPECT_THAT(text, HasSubstr("            \"path\": \"com.apple.CoreML/weights\""));
}

TEST(Package, GoesThroughADirectory) {
  const std::string directory = ::diptych::testing::temporary_directory() + "/p.mlpackage";
  const auto model = write_model(*testing::sample_program({{"main", 1}}));
  ASSERT_OK(model);
  ASSERT_OK(write_directory(directory, package_files(*model, {1, 2})));
  const auto files = map_directory(directory);
  ASSERT_OK(files);
  EXPECT_EQ(files->size(), 3u);
  ASSERT_OK(read_package(*files));
  EXPECT_EQ(map_directory(directory + "/none").error().code, ErrorCode::NotFound);
  EXPECT_FALSE(write_directory(directory, {{"../x", memory_source("x")}}).has_value());
}

}  // namespace
}  // namespace diptych::coreml
