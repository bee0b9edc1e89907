// diff names each planted fault, and aligns files of two exporters, opsets and formats.
#include "compare/diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "compare/metadata.h"
#include "exporter/export.h"
#include "faults.h"
#include "surgery.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using compare::FunctionDiff;
using testing::Fault;

struct Diff {
  compare::Subject a, b;
  std::vector<compare::MetadataDifference> metadata;
  std::vector<FunctionDiff> functions;
};

Result<Diff> diff(const std::string& a, const std::string& b, bool computed) {
  Diff result{TRY(compare::open_subject(a)), TRY(compare::open_subject(b)), {}, {}};
  result.metadata = compare::metadata_differences(result.a, result.b);
  compare::DiffOptions options;
  options.weights = options.numbers = computed;
  ThreadPool pool(2);
  Progress silent;
  for (const auto& [x, y] : TRY(compare::pairs(result.a, "", result.b, ""))) {
    result.functions.push_back(TRY(compare::diff(*x, *y, options, pool, silent)));
  }
  return result;
}

// What the user is told first of each function: where it is built otherwise, and where its numbers
// part; and of the file.
std::vector<std::string> told_first(const Diff& diff) {
  std::vector<std::string> told;
  for (const compare::MetadataDifference& row : diff.metadata)
    told.push_back("metadata " + row.name);
  for (const FunctionDiff& function : diff.functions) {
    if (!function.alignment.differences.empty()) {
      const compare::Difference& first = function.alignment.differences.front();
      told.push_back((first.a != nullptr ? function.a->place(*first.a)
                                         : "lacks " + function.b->place(*first.b)) +
                     ": " + first.what);
    }
    if (function.parting.first) {
      told.push_back("first to part: " +
                     function.a->place(*function.alignment.a.nodes[function.parting.first->a].op));
    }
  }
  return told;
}

TEST(Diff, NamesEachPlantedFault) {
  size_t planted = 0;
  for (const Fault& fault : testing::faults()) {
    SCOPED_TRACE(fault.name);
    const auto found = diff(testing::planted(fault), testing::good_file(fault.file), true);
    if (!found) {
      EXPECT_NE(found.error().to_string().find(fault.parts), std::string::npos)
          << found.error().to_string();
      continue;
    }
    const auto told = told_first(*found);
    std::string all;
    for (const std::string& line : told) all += "  " + line + "\n";
    EXPECT_TRUE(
        std::any_of(told.begin(), told.end(),
                    [&](const std::string& line) { return line.find(fault.parts) != line.npos; }))
        << "expected " << fault.parts << ", found\n"
        << all;
    ++planted;
  }
  EXPECT_GE(planted, 25u);
}

TEST(Diff, NothingPartsInTheSameFile) {
  for (const testing::File file : {testing::File::Several, testing::File::Adapted}) {
    const std::string path = testing::good_file(file);
    const auto found = diff(path, path, true);
    ASSERT_OK(found);
    EXPECT_TRUE(told_first(*found).empty());
    for (const FunctionDiff& function : found->functions) {
      EXPECT_TRUE(function.alignment.complete());
      EXPECT_TRUE(function.weights.empty());
      EXPECT_GT(function.parting.errors.size(), 50u);
    }
  }
}

// --- Two exporters ---

// A line of the list of upstream's files: what was exported, and with which arguments.
struct Golden {
  std::string name, model;
  exporter::Options options;
};

Golden golden_of(const std::string& line) {
  const auto field = [&](size_t n) {
    size_t at = 0;
    while (n-- > 0) at = line.find('|', at) + 1;
    return line.substr(at, line.find('|', at) - at);
  };
  Golden golden{field(0), field(1), {}};
  exporter::Options& o = golden.options;
  const std::string wrapper = field(2);
  std::istringstream words(field(3));
  for (std::string word; words >> word;) {
    const auto number = [&]() {
      int64_t value = 0;
      words >> value;
      return value;
    };
    const auto text = [&]() {
      std::string value;
      words >> value;
      return value;
    };
    if (word == "--max_context_len") o.max_context_len = number();
    if (word == "--input_len") o.input_len = number();
    if (word == "--dtype") o.dtype = text() == "fp32" ? DType::F32 : DType::F16;
    if (word == "--linear_quantize") o.linear = exporter::linear_from_text(text()).value();
    if (word == "-E") o.embedding = exporter::embedding_from_text(text()).value();
    if (word == "-E=") o.embedding = std::nullopt;
    if (word == "--multifunction") o.multifunction = true;
    if (word == "--no_graph_breaks") o.graph_breaks = false;
    if (word == "--target_split_size") o.split.target_size = number();
    if (word == "--max_splits") o.split.max_splits = number();
  }
  if (wrapper == "--linears-unquantized") o.linear = std::nullopt;
  if (wrapper == "--no-split") o.split.target_size = 0;
  return golden;
}

TEST(Diff, AlignsUpstreamsFilesWithOurs) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
  Progress silent;
  std::ifstream list(testing::shared_data("golden/exports.list"));
  size_t files = 0;
  for (std::string line; std::getline(list, line);) {
    if (line.empty() || line[0] == '#') continue;
    const Golden golden = golden_of(line);
    const std::string theirs = testing::shared_data("golden/pte/" + golden.name + ".pte");
    const std::string model = testing::shared_data("golden/models/" + golden.model + "/model.pth");
    if (theirs.empty() || model.empty()) continue;
    SCOPED_TRACE(golden.name);
    const std::string ours = testing::temporary_directory() + "/ours.pte";
    ASSERT_OK(exporter::export_files(model, "", ours, golden.options, silent));
    const auto found = diff(ours, theirs, true);
    ASSERT_OK(found);
    for (const FunctionDiff& function : found->functions) {
      EXPECT_TRUE(function.alignment.complete()) << function.a->graph.name;
      for (const compare::Difference& difference : function.alignment.differences) {
        ADD_FAILURE() << name(difference.kind) << ": " << difference.what;
      }
      EXPECT_TRUE(function.weights.empty()) << function.weights.front().name_a;
      EXPECT_TRUE(function.not_run.empty()) << function.not_run;
      EXPECT_FALSE(function.parting.first.has_value())
          << function.a->place(*function.alignment.a.nodes[function.parting.first->a].op);
    }
    ++files;
  }
  EXPECT_EQ(files, 16u);
}

// --- Two forms ---

exporter::Options form(std::optional<quant::Format> linear) {
  exporter::Options options;
  options.max_context_len = 96;
  options.input_len = 16;
  options.multifunction = true;
  options.linear = linear;
  options.embedding = std::nullopt;
  return options;
}

std::string exported(const std::string& name, const exporter::Options& options) {
  std::string path = testing::temporary_directory() + "/" + name + ".pte";
  Progress silent;
  const auto report =
      exporter::export_files(testing::source_of(testing::File::Several), "", path, options, silent);
  EXPECT_TRUE(report.has_value()) << report.error().to_string();
  return path;
}

void expect_aligned(const Diff& diff) {
  for (const FunctionDiff& function : diff.functions) {
    EXPECT_TRUE(function.alignment.complete());
    EXPECT_TRUE(function.alignment.differences.empty());
  }
}

TEST(Diff, AlignsFormats) {
  const auto found = diff(exported("c4w", form(quant::kC4w)), exported("whole", form({})), true);
  ASSERT_OK(found);
  expect_aligned(*found);
  for (const FunctionDiff& function : found->functions) {
    // All linears differ, and what they make is explained by that.
    EXPECT_EQ(function.weights.size(), 4u * 7 + 1);
    EXPECT_EQ(function.weights.front().form_a, "int4 per row");
    EXPECT_EQ(function.weights.front().form_b, "fp16");
    ASSERT_TRUE(function.parting.first);
    EXPECT_GT(function.explained(function.parting.first->a), 0);
    EXPECT_FALSE(function.first_unexplained);
  }
}

// What iOS 16 has in place of the scaled weights of iOS 18, and iOS 15 in place of the gathers that
// check their indices.
void to_older_opset(mil::Function& function) {
  function.opset = "CoreML6";
  for (const auto& op : function.ops) {
    if (op->type == "gather") {
      std::erase_if(op->operands, [](const mil::Operand& operand) {
        return operand.param == "validate_indices" || operand.param == "batch_dims";
      });
    }
    if (op->type != "constexpr_blockwise_shift_scale") continue;
    mil::Value* data = op->operand("data");
    const mil::Value* scale = op->operand("scale");
    const int64_t rows = data->type.shape.front();
    std::vector<double> scales;
    const std::vector<float> stored = read_floats(*scale->weight).value();
    for (const float element : stored) scales.push_back(static_cast<double>(element));
    op->type = "constexpr_affine_dequantize";
    op->operands = {
        {"quantized_data", {data}},
        {"zero_point", {function.add_constant("zero", constant_ints(DType::Int8, {}, {0}))}},
        {"scale",
         {function.add_constant("scale", constant_floats(scale->type.dtype, {rows}, scales))}},
        {"axis", {function.add_constant("axis", constant_ints(DType::Int32, {}, {0}))}}};
  }
}

TEST(Diff, AlignsOpsets) {
  for (const auto& linear : {std::optional<quant::Format>(), std::optional(quant::kC8w)}) {
    const std::string now = exported("now", form(linear));
    auto surgery = testing::Surgery::open(now);
    ASSERT_OK(surgery);
    ASSERT_OK(surgery->edit(to_older_opset));
    const std::string older = testing::temporary_directory() + "/older.pte";
    ASSERT_OK(surgery->save(older));
    const auto found = diff(older, now, true);
    ASSERT_OK(found);
    expect_aligned(*found);
    for (const FunctionDiff& function : found->functions) {
      EXPECT_EQ(function.a->function().opset, "CoreML6");
      EXPECT_FALSE(function.parting.first.has_value());
    }
  }
}

}  // namespace
}  // namespace diptych
