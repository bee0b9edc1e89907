#include "tools/inspect.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <limits>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "sample.h"
#include "sample_package.h"
#include "testing/shared_data.h"
#include "tools/inspect_json.h"

namespace diptych::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// The bytes live as long as the inspection.
Result<Inspection> inspect_program(const pte::Program& program) {
  const auto bytes =
      std::make_shared<const std::vector<std::byte>>(tools::testing::file_of(program));
  return inspect(*bytes, bytes);
}

// "3 tokens: int32[1,1]"
std::string text(const Port& port) {
  return fmt::format("{} {}: {}", port.value, port.name, port.type.text());
}
std::vector<std::string> texts(const std::vector<Port>& ports) {
  std::vector<std::string> result;
  for (const Port& port : ports) result.push_back(text(port));
  return result;
}

TEST(InspectTest, MethodsShareAPackage) {
  const auto inspection = inspect_program(tools::testing::shared_program());
  ASSERT_OK(inspection);
  ASSERT_EQ(inspection->methods.size(), 2u);
  const MethodSummary& prefill = inspection->methods[1];
  EXPECT_EQ(prefill.name, "prefill");
  EXPECT_THAT(texts(prefill.inputs), ElementsAre("1 index: int32[1]", "0 x: fp16[1,4,32]"));
  ASSERT_EQ(prefill.partitions.size(), 1u);
  const Partition& partition = prefill.partitions[0];
  EXPECT_EQ(partition.payload, Partition::Payload::Reference);
  EXPECT_EQ(partition.package, 0u);
  EXPECT_EQ(partition.function->name, "prefill");
  EXPECT_THAT(texts(partition.inputs), ElementsAre("0 x: fp16[1,4,32]", "1 index: int32[1]"));
  ASSERT_EQ(partition.outputs.size(), 3u);
  EXPECT_TRUE(partition.arguments.empty());
  ASSERT_EQ(prefill.outputs.size(), 3u);
  EXPECT_EQ(text(prefill.outputs[1]), text(partition.outputs[2]));

  ASSERT_EQ(inspection->packages.size(), 1u);
  const Package& package = inspection->packages[0];
  EXPECT_EQ(package.key, inspection->named_data.at(0).key);
  ASSERT_EQ(package.functions.size(), 2u);
  // 16·32 int4 and 15 int4; 16 scales and 16 biases. The three other scales are immediate.
  EXPECT_EQ(package.weights_by_dtype.at("int4").count, 2u);
  EXPECT_EQ(package.weights_by_dtype.at("int4").bytes, 256u + 8u);
  EXPECT_EQ(package.weights_by_dtype.at("fp16").bytes, 32u + 32u);
  EXPECT_EQ(package.weights.bytes, 328u);
  EXPECT_EQ(package.shared.count, 4u);
  EXPECT_EQ(package.shared.bytes, 328u);
  EXPECT_EQ(package.functions[0].weights.bytes, 328u);
}

// Operands of constexpr operations stand in place, all other constants are operations.
TEST(InspectTest, HistogramCountsConstants) {
  const auto inspection = inspect_program(tools::testing::legacy_program());
  ASSERT_OK(inspection);
  const FunctionSummary& function = inspection->packages.at(0).functions.at(0);
  EXPECT_THAT(function.ops,
              UnorderedElementsAre(Pair("cast", 1), Pair("concat", 1), Pair("const", 6),
                                   Pair("constexpr_blockwise_shift_scale", 2),
                                   Pair("greater_equal", 1), Pair("linear", 1), Pair("mul", 1)));
  EXPECT_EQ(function.op_count, 13u);
}

TEST(InspectTest, LegacyPayloadsArePackagesOfTheirOwn) {
  const auto inspection = inspect_program(tools::testing::legacy_program());
  ASSERT_OK(inspection);
  ASSERT_EQ(inspection->packages.size(), 2u);
  EXPECT_EQ(inspection->packages[1].key, "");
  EXPECT_EQ(inspection->packages[1].shared.count, 0u);
  const Partition& partition = inspection->methods.at(1).partitions.at(0);
  EXPECT_EQ(partition.payload, Partition::Payload::Legacy);
  EXPECT_EQ(partition.package, 1u);
  EXPECT_EQ(partition.function->name, "main");
}

TEST(InspectTest, OtherBackendsAndKernelsStayOpaque) {
  pte::Program program = tools::testing::legacy_program();
  pte::Method& method = program.methods[0];
  method.delegates[0] = {"OtherBackend", {{"a", "b"}}, pte::Blob::own("anything")};
  method.operators = {{"aten::add", "out"}, {"aten::mul", ""}};
  method.values.emplace_back(int64_t{1});
  method.instructions.emplace_back(pte::KernelCall{0, {2, 2, 5, 2}});
  method.instructions.emplace_back(pte::KernelCall{0, {2, 2, 5, 2}});
  const auto inspection = inspect_program(program);
  ASSERT_OK(inspection);
  const MethodSummary& summary = inspection->methods[0];
  EXPECT_EQ(summary.instructions.kernel_calls, 2u);
  EXPECT_EQ(summary.instructions.delegate_calls, 1u);
  ASSERT_EQ(summary.operators.size(), 2u);
  EXPECT_EQ(summary.operators[0].name, "aten::add.out");
  EXPECT_EQ(summary.operators[0].calls, 2u);
  EXPECT_EQ(summary.operators[1].name, "aten::mul");
  EXPECT_EQ(summary.partitions[0].payload, Partition::Payload::Opaque);
  EXPECT_EQ(summary.partitions[0].package, std::nullopt);
  EXPECT_EQ(summary.partitions[0].arguments.size(), 5u);
  EXPECT_EQ(inspection->packages.size(), 1u);
}

TEST(InspectTest, DamageNamesThePartition) {
  pte::Program program = tools::testing::shared_program();
  program.named_data[0].key += "x";
  EXPECT_THAT(inspect_program(program).error().to_string(),
              HasSubstr("method forward, partition 0: the delegate refers to named data"));

  program = tools::testing::legacy_program();
  std::get<pte::DelegateCall>(program.methods[1].instructions[0]).args.pop_back();
  EXPECT_THAT(inspect_program(program).error().to_string(),
              HasSubstr("method prefill, partition 0: the call has 4 arguments, the model takes 2 "
                        "inputs and 3 outputs"));

  program = tools::testing::legacy_program();
  program.methods[1].delegates[0].processed = pte::Blob::own("no file system");
  EXPECT_THAT(inspect_program(program).error().to_string(),
              HasSubstr("method prefill, partition 0: delegate payload"));
}

// A compiled model is no damage: the rest of the file is shown.
TEST(InspectTest, SaysWhyAPackageCannotBeRead) {
  pte::Program program = tools::testing::legacy_program();
  program.methods[0].delegates[0].processed = tools::testing::compiled_payload();
  const auto inspection = inspect_program(program);
  ASSERT_OK(inspection);
  EXPECT_THAT(inspection->packages.at(0).unreadable, HasSubstr(".mlmodelc"));
  EXPECT_EQ(inspection->packages.at(1).unreadable, "");
  const Partition& partition = inspection->methods.at(0).partitions.at(0);
  EXPECT_EQ(partition.function, nullptr);
  EXPECT_EQ(partition.arguments.size(), 5u);
  const Json json = to_json(*inspection)["packages"];
  EXPECT_TRUE(json[0].contains("unreadable"));
  EXPECT_TRUE(json[1].contains("functions"));
}

TEST(InspectTest, MetadataValues) {
  pte::Program program = tools::testing::legacy_program();
  const std::vector<int64_t> specs = {1, 511};
  const Bytes spec_bytes = std::as_bytes(std::span(specs));
  const std::vector<float> floats = {0.5f, -std::numeric_limits<float>::infinity()};
  const Bytes float_bytes = std::as_bytes(std::span(floats));
  program.methods.push_back(pte::constant_method("vocab_size", int64_t{512}));
  program.methods.push_back(pte::constant_method("flag", true));
  program.methods.push_back(pte::constant_method("theta", 0.25));
  program.methods.push_back(pte::constant_method("name", std::string("text")));
  const auto add = [&](const char* name, const TensorType& type, std::vector<std::byte> bytes) {
    program.methods.push_back(
        pte::constant_tensor_method(program, name, type, std::move(bytes)).value());
  };
  add("specs", {DType::Int64, {1, 2}}, {spec_bytes.begin(), spec_bytes.end()});
  add("floats", {DType::F32, {2}}, {float_bytes.begin(), float_bytes.end()});
  add("table", {DType::F16, {65}}, std::vector<std::byte>(130));
  const auto inspection = inspect_program(program);
  ASSERT_OK(inspection);
  const Json metadata = to_json(*inspection)["metadata"];
  EXPECT_EQ(metadata.dump(),
            R"({"vocab_size":{"dtype":"int","value":512},"flag":{"dtype":"bool","value":true},)"
            R"("theta":{"dtype":"double","value":0.25},"name":{"dtype":"string","value":"text"},)"
            R"("specs":{"dtype":"int64","shape":[1,2],"value":[[1,511]]},)"
            R"("floats":{"dtype":"fp32","shape":[2],"value":[0.5,"-inf"]},)"
            R"("table":{"dtype":"fp16","shape":[65]}})");
}

TEST(InspectTest, JsonSaysWhatAPartitionRuns) {
  const auto inspection = inspect_program(tools::testing::shared_program());
  ASSERT_OK(inspection);
  const Json json = to_json(*inspection);
  const Json& partition = json["methods"][0]["partitions"][0];
  EXPECT_EQ(partition["backend"], "CoreMLBackend");
  EXPECT_EQ(partition["compile_specs"]["compute_units"], "cpu_and_ne");
  EXPECT_EQ(partition["payload"], "reference");
  EXPECT_EQ(partition["function"], "forward");
  EXPECT_EQ(partition["inputs"][0].dump(),
            R"({"value":0,"name":"x","dtype":"fp16","shape":[1,1,32]})");
  const Json& package = json["packages"][0];
  EXPECT_EQ(package["functions"][1]["name"], "prefill");
  EXPECT_EQ(package["functions"][1]["ops"]["linear"], 1);
  EXPECT_EQ(package["shared_weights"].dump(), R"({"count":4,"bytes":328})");
}

// --- Upstream's files, against what upstream's own libraries say of them ---

std::vector<std::string> stems(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(::diptych::testing::shared_data(folder))) {
    names.insert(entry.path().stem().string());
  }
  return {names.begin(), names.end()};
}

Json load_json(const std::string& relative) {
  return *parse_json(*read_text_file(::diptych::testing::shared_data(relative)));
}

// Upstream's names of element types in ours.
std::string dtype_of(const std::string& name) {
  static const std::map<std::string, std::string> names = {
      {"INT", "int32"},  {"LONG", "int64"},   {"HALF", "fp16"},
      {"FLOAT", "fp32"}, {"float16", "fp16"}, {"float32", "fp32"}};
  const auto found = names.find(name);
  return found == names.end() ? name : found->second;
}

void expect_ports(const Json& ours, const Json& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i]["dtype"], dtype_of(theirs[i]["dtype"]));
    EXPECT_EQ(ours[i]["shape"], theirs[i]["sizes"]);
    EXPECT_TRUE(ours[i].contains("name")) << i;
  }
}

void expect_partition(const Json& ours, const Json& theirs) {
  EXPECT_EQ(ours["compile_specs"], theirs["compile_specs"]);
  EXPECT_EQ(ours["payload_bytes"], theirs["payload_bytes"]);
  EXPECT_EQ(ours["payload"], theirs.contains("reference") ? "reference" : "legacy");
  EXPECT_EQ(ours["function"], theirs["function"]);
  Json args = Json::array();
  for (const char* side : {"inputs", "outputs"}) {
    for (const Json& port : ours[side]) {
      args.push_back({{"value", port["value"]},
                      {"dir", side == std::string_view("inputs") ? "in" : "out"},
                      {"name", port["name"]},
                      {"dtype", port["dtype"]},
                      {"sizes", port["shape"]}});
    }
  }
  Json expected = theirs["args"];
  for (Json& arg : expected) arg["dtype"] = dtype_of(arg["dtype"]);
  EXPECT_EQ(args, expected);
}

void expect_metadata(const Json& ours, const Json& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  auto expected = theirs.items().begin();
  for (const auto& entry : ours.items()) {
    SCOPED_TRACE(entry.key());
    EXPECT_EQ(entry.key(), expected.key());
    const Json& value = expected.value();
    EXPECT_EQ(entry.value()["dtype"], dtype_of(value["dtype"]));
    EXPECT_EQ(entry.value().value("shape", Json()), value.value("shape", Json()));
    const char* key = value.contains("values") ? "values" : "value";  // tensors: values
    EXPECT_EQ(entry.value().value("value", Json()), value.value(key, Json()));
    ++expected;
  }
}

void expect_package(const Json& ours, const Json& theirs) {
  EXPECT_EQ(ours["specification_version"], theirs["specification_version"]);
  ASSERT_EQ(ours["functions"].size(), theirs["functions"].size());
  for (const Json& function : ours["functions"]) {
    SCOPED_TRACE(function["name"].get<std::string>());
    const Json& expected = theirs["functions"][function["name"].get<std::string>()];
    EXPECT_EQ(function["opset"], expected["opset"]);
    EXPECT_EQ(function["inputs"], expected["inputs"]);
    EXPECT_EQ(function["outputs"], expected["outputs"]);
    EXPECT_EQ(function["op_count"], expected["n_ops"]);
    using Histogram = std::map<std::string, int64_t>;
    EXPECT_EQ(function["ops"].get<Histogram>(), expected["histogram"].get<Histogram>());
    EXPECT_EQ(function["weights"]["count"], expected["blobs"]);
    EXPECT_EQ(function["weights"]["bytes"], expected["blob_bytes"]);
  }
  const Json& weights = theirs["weights"];
  EXPECT_EQ(ours["weights"]["count"], weights["records"]);
  EXPECT_EQ(ours["weights"]["bytes"], weights["payload_bytes"]);
  ASSERT_EQ(ours["weights_by_dtype"].size(), weights["by_type"].size());
  for (const auto& entry : weights["by_type"].items()) {
    const Json& count = ours["weights_by_dtype"][entry.key()];
    EXPECT_EQ(Json::array({count["count"], count["bytes"]}), entry.value());
  }
  if (ours["functions"].size() == 2) {
    EXPECT_EQ(ours["shared_weights"]["count"], weights["shared_by_all_functions"]);
    EXPECT_EQ(ours["shared_weights"]["bytes"], weights["shared_bytes"]);
  }
}

TEST(InspectGoldenTest, AgreesWithUpstreamsReports) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/report");
  size_t packages = 0;
  for (const std::string& name : stems("golden/pte")) {
    SCOPED_TRACE(name);
    const auto inspection = inspect(::diptych::testing::shared_data("golden/pte/" + name + ".pte"));
    ASSERT_OK(inspection);
    const Json ours = to_json(*inspection);
    const Json theirs = load_json("golden/report/" + name + ".json");
    EXPECT_EQ(ours["file"]["bytes"], theirs["file_bytes"]);
    EXPECT_EQ(ours["file"]["program_bytes"], theirs["program_bytes"]);
    EXPECT_EQ(ours["file"]["segments"].size(), theirs["segments"].size());
    EXPECT_EQ(ours["file"]["named_data"].size(), theirs["named_data"].size());
    ASSERT_EQ(ours["methods"].size(), theirs["methods"].size());
    for (const Json& method : ours["methods"]) {
      SCOPED_TRACE(method["name"].get<std::string>());
      const Json& expected = theirs["methods"][method["name"].get<std::string>()];
      expect_ports(method["inputs"], expected["inputs"]);
      expect_ports(method["outputs"], expected["outputs"]);
      EXPECT_EQ(method["arena_bytes"], expected["non_const_buffer_sizes"]);
      ASSERT_EQ(method["partitions"].size(), expected["partitions"].size());
      for (size_t i = 0; i < method["partitions"].size(); ++i) {
        SCOPED_TRACE(fmt::format("partition {}", i));
        expect_partition(method["partitions"][i], expected["partitions"][i]);
      }
    }
    expect_metadata(ours["metadata"], theirs["constant_methods"]);
    for (size_t i = 0; i < ours["packages"].size(); ++i) {
      SCOPED_TRACE(fmt::format("package {}", i));
      expect_package(ours["packages"][i],
                     load_json(fmt::format("golden/mil/{}.part{}.json", name, i)));
      ++packages;
    }
  }
  EXPECT_GT(packages, 0u);
}

TEST(InspectGoldenTest, FilesOfOtherBackends) {
  DIPTYCH_SKIP_WITHOUT_SHARED("pte");
  std::map<std::string, std::set<std::string>> found;
  for (const std::string& name : stems("pte")) {
    const auto inspection = inspect(::diptych::testing::shared_data("pte/" + name + ".pte"));
    ASSERT_OK(inspection);
    EXPECT_TRUE(inspection->packages.empty());
    for (const MethodSummary& method : inspection->methods) {
      for (const auto& op : method.operators) found[name].insert(op.name);
      for (const Partition& partition : method.partitions) found[name].insert(partition.backend);
    }
  }
  EXPECT_THAT(found["add"], UnorderedElementsAre("aten::add.out"));
  EXPECT_TRUE(found["stories260k_hybrid_llama_qnn"].contains("QnnBackend"));
}

TEST(InspectModel, ReadsPackagesAndSpecifications) {
  const std::string path = diptych::testing::temporary_directory() + "/inspect.mlpackage";
  ASSERT_TRUE(diptych::testing::write_sample_package(path));
  for (const std::string& model : {path, path + "/Data/com.apple.CoreML/model.mlmodel"}) {
    auto inspection = inspect(model);
    ASSERT_OK(inspection);
    try_functions(*inspection);
    EXPECT_TRUE(inspection->is_model);
    const Package& package = inspection->packages.at(0);
    ASSERT_EQ(package.functions.size(), 2u);
    EXPECT_EQ(package.functions[0].inputs.at(1).name, "y");
    EXPECT_EQ(package.functions[1].ops.at("mul"), 1u);
    EXPECT_TRUE(package.functions[0].problems.empty());
  }
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace diptych::tools
