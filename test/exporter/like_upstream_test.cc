// Our exports beside upstream's of the same checkpoint: methods, inputs and outputs, partitions,
// functions, compile specs, metadata values, and dequantised weights must agree.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/file.h"
#include "base/half.h"
#include "coreml/delegate.h"
#include "export_models.h"
#include "pte/constant_method.h"
#include "pte/reader.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using testing::GoldenModel;

// An opened .pte and the models inside it.
struct Opened {
  std::shared_ptr<const MappedFile> file;
  pte::Program program;
  std::map<const std::byte*, std::unique_ptr<coreml::DelegateModel>> models;
};

Result<std::unique_ptr<Opened>> open(const std::string& path) {
  auto opened = std::make_unique<Opened>();
  opened->file = TRY(MappedFile::open(path));
  opened->program = TRY(pte::read(opened->file->bytes()));
  return opened;
}

// One partition as its names and types say it, for comparison as text. Names of outputs are free.
struct Part {
  std::string interface;
  const mil::Function* function = nullptr;
};
Result<Part> part_of(Opened& opened, const pte::Delegate& delegate, const std::string& method) {
  Bytes blob = delegate.processed.bytes();
  std::optional<coreml::Reference> reference;
  if (coreml::is_reference(blob)) {
    reference = TRY(coreml::parse_reference(blob));
    blob = pte::find_named_data(opened.program, reference->key)->bytes();
  }
  auto& model = opened.models[blob.data()];
  if (!model)
    model = std::make_unique<coreml::DelegateModel>(TRY(coreml::read_delegate(blob, opened.file)));
  const auto resolved =
      TRY(coreml::resolve_function(*model, method, reference ? &*reference : nullptr));
  Part part;
  part.function = resolved.function;
  part.interface = fmt::format("{} {} of {} functions\n", delegate.backend, resolved.function->name,
                               model->model.program.functions.size());
  for (const pte::CompileSpec& spec : delegate.compile_specs) {
    part.interface += fmt::format("{}={}\n", spec.key, spec.value);
  }
  for (const mil::Value* input : resolved.inputs) {
    part.interface += fmt::format("in {}: {}\n", input->name, to_string(input->type));
  }
  for (const mil::Value* output : resolved.outputs) {
    part.interface += fmt::format("out {}\n", to_string(output->type));
  }
  return part;
}

// Methods as text: types of inputs and outputs, and the values that each delegate call takes.
std::string signature_text(const pte::Method& method) {
  std::string text = method.name + "\n";
  const auto add = [&](const char* what, int32_t index) {
    const auto& tensor = std::get<pte::Tensor>(method.values[static_cast<size_t>(index)]);
    text += fmt::format("{} {}{}\n", what, pte::name(tensor.scalar_type), to_string(tensor.sizes));
  };
  for (const int32_t index : method.inputs) add("in", index);
  for (const int32_t index : method.outputs) add("out", index);
  for (const pte::Instruction& instruction : method.instructions) {
    text += fmt::format("call {}\n", fmt::join(std::get<pte::DelegateCall>(instruction).args, ","));
  }
  return text + method.input_spec + "\n" + method.output_spec + "\n";
}

std::vector<float> dequantise(const mil::Op& op) {
  const Weight& data = *op.operand("data")->weight;
  const Weight& scale = *op.operand("scale")->weight;
  std::vector<float> values = read_floats(data).value();
  const std::vector<float> scales = read_floats(scale).value();
  const size_t columns = data.row_elements(), groups = scale.row_elements();
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] *= scales[i / columns * groups + i % columns / (columns / groups)];
  }
  return values;
}

// Digests of the weights that a function computes with, dequantised: those of matrices by the
// operation, and other constants of ten elements or more.
std::multiset<std::string> weight_digests(const mil::Function& function) {
  std::multiset<std::string> digests;
  const auto add = [&](const Shape& shape, const std::vector<float>& values) {
    Hasher hasher;
    hasher.add(std::as_bytes(std::span(values)));
    digests.insert(to_string(shape) + uuid_from(hasher.digest()));
  };
  std::set<const mil::Value*> quantised;
  for (const auto& op : function.ops) {
    if (op->type == "constexpr_blockwise_shift_scale") {
      quantised.insert(op->operand("data"));
      quantised.insert(op->operand("scale"));
      add(op->result()->type.shape, dequantise(*op));
    }
  }
  std::set<std::string> once;  // upstream and we name and repeat small constants differently
  for (const mil::Value* constant : function.constants()) {
    if (!constant->weight || quantised.contains(constant) || constant->weight->elements() < 10)
      continue;
    const auto values = read_floats(*constant->weight).value();
    Hasher hasher;
    hasher.add(std::as_bytes(std::span(values)));
    const std::string digest = to_string(constant->type.shape) + uuid_from(hasher.digest());
    if (once.insert(digest).second) digests.insert(digest);
  }
  return digests;
}

std::map<std::string, int> histogram(const mil::Function& function) {
  std::map<std::string, int> counts;
  for (const auto& op : function.ops) ++counts[op->type];
  return counts;
}

// Values of metadata methods. fp32 RoPE tables may differ by one unit in the last place, since
// upstream's depend on the processor they were made on.
void expect_same_metadata(const pte::Program& ours, const pte::Program& upstream) {
  for (size_t i = 0; i < upstream.methods.size(); ++i) {
    const pte::Method& method = upstream.methods[i];
    if (!pte::is_constant_method(method)) continue;
    const auto expected = pte::constant_value(upstream, method.name).value();
    const auto found = pte::constant_value(ours, method.name);
    ASSERT_OK(found);
    const auto* tensor = std::get_if<pte::ConstantTensor>(&expected);
    if (tensor == nullptr) {
      EXPECT_EQ(std::get<int64_t>(*found), std::get<int64_t>(expected)) << method.name;
      continue;
    }
    const auto& own = std::get<pte::ConstantTensor>(*found);
    ASSERT_EQ(own.type, tensor->type) << method.name;
    if (own.type.dtype != DType::F32) {
      EXPECT_TRUE(std::equal(own.bytes.begin(), own.bytes.end(), tensor->bytes.begin()))
          << method.name;
      continue;
    }
    for (size_t at = 0; at < own.bytes.size(); at += 4) {
      const auto a = load<float>(&own.bytes[at]), b = load<float>(&tensor->bytes[at]);
      EXPECT_LE(std::abs(a - b), std::abs(std::nextafter(b, 2.0f) - b))
          << method.name << " " << at / 4;
    }
  }
}

class LikeUpstream : public ::testing::TestWithParam<GoldenModel> {};

TEST_P(LikeUpstream, SideBySide) {
  const GoldenModel& golden = GetParam();
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte/" + golden.pte + ".pte");
  auto upstream = open(testing::shared_data("golden/pte/" + golden.pte + ".pte"));
  ASSERT_OK(upstream);
  const auto path =
      testing::export_like(golden, testing::export_options(golden).value(), golden.pte);
  ASSERT_OK(path);
  auto ours = open(*path);
  ASSERT_OK(ours);
  const pte::Program& a = (*ours)->program;
  const pte::Program& b = (*upstream)->program;

  std::vector<std::string> our_names, upstream_names;
  for (const auto& method : a.methods) our_names.push_back(method.name);
  for (const auto& method : b.methods) upstream_names.push_back(method.name);
  // Metadata of our own stand behind upstream's.
  ASSERT_GE(our_names.size(), upstream_names.size());
  our_names.resize(upstream_names.size());
  EXPECT_EQ(our_names, upstream_names);
  expect_same_metadata(a, b);

  size_t weights = 0, partitions = 0, operations = 0;
  for (const pte::Method& expected : b.methods) {
    if (pte::is_constant_method(expected)) continue;
    const pte::Method* method = pte::find_method(a, expected.name);
    ASSERT_NE(method, nullptr);
    EXPECT_EQ(signature_text(*method), signature_text(expected));
    ASSERT_EQ(method->delegates.size(), expected.delegates.size());
    for (size_t p = 0; p < expected.delegates.size(); ++p) {
      const auto own = part_of(**ours, method->delegates[p], method->name);
      const auto other = part_of(**upstream, expected.delegates[p], method->name);
      ASSERT_OK(own);
      ASSERT_OK(other);
      EXPECT_EQ(own->interface, other->interface) << method->name << " partition " << p;
      EXPECT_EQ(histogram(*own->function), histogram(*other->function))
          << method->name << " partition " << p;
      const auto digests = weight_digests(*own->function);
      EXPECT_EQ(digests, weight_digests(*other->function)) << method->name << " partition " << p;
      weights += digests.size();
      operations += own->function->ops.size();
      ++partitions;
    }
  }
  fmt::print(
      "{:<34} {} methods, {} partitions, {} operations, {} weights agree; {} bytes, upstream {}\n",
      golden.pte, our_names.size(), partitions, operations, weights, a.layout.file_size,
      b.layout.file_size);
}

INSTANTIATE_TEST_SUITE_P(Golden, LikeUpstream, ::testing::ValuesIn(testing::golden_models()),
                         [](const auto& test) { return test.param.pte; });

}  // namespace
}  // namespace diptych
