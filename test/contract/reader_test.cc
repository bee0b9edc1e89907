#include "contract/reader.h"

#include <gtest/gtest.h>

#include "contract/constants.h"
#include "contract/signature.h"
#include "pte/constant_method.h"
#include "testing/shared_data.h"

namespace diptych::contract {
namespace {

constexpr int64_t kContext = 24;

Model small_model(size_t layers = 2, int64_t cache_len = kContext - 1) {
  Model model = uniform_model(layers, cache_len);
  model.vocab_size = 10;
  model.kv_heads = 2;
  model.head_dim = 4;
  model.rope_width = 3;
  return model;
}

// A file's constant methods and the types of its others.
struct File {
  pte::Program program;
  std::vector<MethodTypes> methods;

  File(const Model& model, const std::vector<Method>& all) {
    std::vector<RopeTables> tables;
    for (size_t i = 0; i < model.rope_tables(); ++i) {
      const TensorType type{model.dtype, {kContext, model.rope_width}};
      tables.push_back({random_weight(type, 2 * i), random_weight(type, 2 * i + 1)});
    }
    for (const ConstantMethod& constant : constant_methods(model, all, tables)) add(constant);
    for (const Method& method : all) {
      const Signature types = signature(model, method).value();
      methods.push_back({method.name, {}, {}});
      for (const NamedType& input : types.inputs) methods.back().inputs.push_back(input.type);
      for (const NamedType& output : types.outputs) methods.back().outputs.push_back(output.type);
    }
  }

  void add(const ConstantMethod& constant) {
    if (const auto* number = std::get_if<int64_t>(&constant.value)) {
      program.methods.push_back(pte::constant_method(constant.name, *number));
    } else if (const auto* truth = std::get_if<bool>(&constant.value)) {
      program.methods.push_back(pte::constant_method(constant.name, *truth));
    } else {
      const WeightRef& weight = std::get<WeightRef>(constant.value);
      program.methods.push_back(
          pte::constant_tensor_method(program, constant.name, weight->type(),
                                      read_all(*packed_source(weight)).value())
              .value());
    }
  }
  void say(const std::string& name, const std::vector<int64_t>& values) {
    ASSERT_OK(pte::set_constant_method(program,
                                       pte::constant_ints_method(program, name, values).value()));
  }
  // Leaves nothing but the tables.
  void forget() {
    std::erase_if(program.methods,
                  [](const pte::Method& method) { return !method.name.starts_with("freqs_"); });
    std::erase_if(program.methods, [](const pte::Method& method) {
      return method.name.find("index") != std::string::npos;
    });
  }
  std::string error() const {
    const auto found = read(program, methods);
    return found ? "" : found.error().to_string();
  }
};

void expect_places(const Places& found, const Places& expected) {
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_EQ(found.masks, expected.masks);
  EXPECT_EQ(found.cos, expected.cos);
  EXPECT_EQ(found.sin, expected.sin);
  EXPECT_EQ(found.last_position, expected.last_position);
  EXPECT_EQ(found.key_inputs, expected.key_inputs);
  EXPECT_EQ(found.value_inputs, expected.value_inputs);
  EXPECT_EQ(found.key_outputs, expected.key_outputs);
  EXPECT_EQ(found.value_outputs, expected.value_outputs);
  EXPECT_EQ(found.logits, expected.logits);
}

void expect_read(const Model& model, const std::vector<Method>& methods, bool constants) {
  File file(model, methods);
  if (!constants) file.forget();
  const auto found = read(file.program, file.methods);
  ASSERT_OK(found);
  EXPECT_EQ(found->vocab_size, model.vocab_size);
  EXPECT_EQ(found->kv_heads, model.kv_heads);
  EXPECT_EQ(found->head_dim, model.head_dim);
  EXPECT_EQ(found->rope_width, model.rope_width);
  EXPECT_EQ(found->class_of_layer, model.class_of_layer);
  EXPECT_EQ(found->max_context, kContext);
  EXPECT_EQ(found->ropes.size(), model.rope_tables());
  ASSERT_EQ(found->functions.size(), methods.size());
  for (const Function& function : found->functions) {
    const auto written = std::find_if(methods.begin(), methods.end(), [&](const Method& method) {
      return method.name == function.method.name;
    });
    ASSERT_NE(written, methods.end());
    EXPECT_EQ(function.method.role, written->role);
    EXPECT_EQ(function.method.tokens, written->tokens);
    EXPECT_EQ(function.method.all_logits, written->all_logits);
    expect_places(function.places, signature(model, *written).value().places);
  }
}

TEST(Reader, FindsWhatTheWriterSaid) {
  for (const bool constants : {true, false}) {
    SCOPED_TRACE(constants);
    expect_read(small_model(2, kContext - 8), {method_of(Role::Single, 8)}, constants);
    expect_read(small_model(12), {method_of(Role::Decode, 1), method_of(Role::Prefill, 8)},
                constants);
  }
}

TEST(Reader, KnowsAThirdRole) {
  const std::vector<Method> methods = {method_of(Role::Decode, 1), method_of(Role::Prefill, 8),
                                       method_of(Role::Verify, 4)};
  expect_read(small_model(), methods, true);
  File file(small_model(), methods);
  const Description found = read(file.program, file.methods).value();
  EXPECT_EQ(found.decode().method.tokens, 1);
  EXPECT_EQ(found.prefill().method.tokens, 8);
  ASSERT_NE(found.verify(), nullptr);
  EXPECT_EQ(found.verify()->method.name, "verify");
}

TEST(Reader, KnowsLayersOfTwoClasses) {
  Model model = small_model();
  model.classes = {{kContext - 1, {}}, {8, 8}};
  model.class_of_layer = {1, 1, 0, 1};
  model.rope_of_layer = {1, {}, 0, 0};
  const std::vector<Method> methods = {method_of(Role::Decode, 1), method_of(Role::Prefill, 8)};
  expect_read(model, methods, true);
  File file(model, methods);
  const Description found = read(file.program, file.methods).value();
  EXPECT_EQ(found.class_of(0).window, 8);
  EXPECT_EQ(found.class_of(2).window, std::nullopt);
  EXPECT_EQ(found.rope_of_layer, model.rope_of_layer);
  EXPECT_EQ(found.cache_len(), kContext - 1);
  // Layers of one class cannot differ.
  file.say("layer_windows", {8, 7, 0, 8});
  EXPECT_NE(file.error().find("share a mask"), std::string::npos) << file.error();
  file.say("layer_windows", {8, 8, 0});
  EXPECT_NE(file.error().find("layer_windows"), std::string::npos) << file.error();
  file.say("layer_windows", {8, 8, 0, 8});
  file.say("layer_rope_tables", {1, 2, 0, 0});
  EXPECT_NE(file.error().find("expected 4 values from -1 to 1"), std::string::npos) << file.error();
}

// Upstream's files do not say windows; its runner goes by the caches' lengths.
TEST(Reader, TakesShorterCachesForWindowsWhereNothingIsSaid) {
  Model model = small_model();
  model.classes = {{kContext - 1, {}}, {8, 8}};
  model.class_of_layer = {1, 0};
  File file(model, {method_of(Role::Decode, 1)});
  std::erase_if(file.program.methods,
                [](const pte::Method& method) { return method.name == kLayerWindows; });
  const Description found = read(file.program, file.methods).value();
  EXPECT_EQ(found.class_of(0).window, 8);
  EXPECT_EQ(found.class_of(1).window, std::nullopt);
  // One that says there are none is taken at its word: so many tokens fit all caches.
  file.say("layer_windows", {0, 0});
  EXPECT_EQ(read(file.program, file.methods).value().cache_len(), 8);
}

TEST(Reader, RefusesWindowsThatCachesDoNotHold) {
  Model model = small_model();
  model.classes = {{kContext - 1, {}}, {8, 8}};
  model.class_of_layer = {1, 0};
  File file(model, {method_of(Role::Decode, 1)});
  file.say("layer_windows", {9, 0});
  EXPECT_EQ(file.error(), "");  // eight besides the token itself
  file.say("layer_windows", {10, 0});
  EXPECT_NE(file.error().find("window of 10 positions have caches of 8, expected 9 at least"),
            std::string::npos)
      << file.error();
  file.say("layer_windows", {-1, 0});
  EXPECT_NE(file.error().find("expected 2 values from 0 to"), std::string::npos) << file.error();
}

TEST(Reader, KnowsWhatHidesAColumn) {
  const std::vector<Method> methods = {method_of(Role::Single, 1)};
  Model model = small_model();
  File infinite(model, methods);
  EXPECT_EQ(pte::find_method(infinite.program, kHiddenEntry), nullptr);
  EXPECT_EQ(read(infinite.program, infinite.methods).value().hidden,
            -std::numeric_limits<float>::infinity());
  model.hidden = kFiniteHidden;
  EXPECT_EQ(read(File(model, methods).program, infinite.methods).value().hidden, -40000);
  for (const int64_t wrong : {0, -39999, -65505}) {
    infinite.say(std::string(kHiddenEntry), {wrong});
    EXPECT_EQ(infinite.error(), fmt::format("metadata method mask_hidden_value: expected -65504 to "
                                            "-40000, found {}",
                                            wrong));
  }
}

TEST(Reader, AcceptsDecodeForForward) {
  File file(small_model(), {{"decode", Role::Decode, 1, false}, method_of(Role::Prefill, 8)});
  const auto found = read(file.program, file.methods);
  ASSERT_OK(found);
  EXPECT_EQ(found->decode().method.name, "decode");
}

// Upstream sorts layers as text: "l10" before "l2".
TEST(Reader, PutsUpstreamsCacheRowsIntoTheOrderOfLayers) {
  const Model model = small_model(12, kContext - 4);
  const Method single = method_of(Role::Single, 4);
  File file(model, {single});
  const Places at = signature(model, single).value().places;
  std::vector<int64_t> rows;
  for (const size_t layer : {0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9}) {
    const auto row = static_cast<int64_t>(rows.size() / 5);
    for (const int64_t value :
         {static_cast<int64_t>(at.key_inputs[layer]), 1 + row,
          static_cast<int64_t>(at.value_inputs[layer]), 13 + row, kContext - 4}) {
      rows.push_back(value);
    }
  }
  file.say("kv_cache_specs", rows);
  const auto found = read(file.program, file.methods);
  ASSERT_OK(found);
  expect_places(found->functions[0].places, at);
}

TEST(Reader, RefusesConstantsThatNameOtherInputs) {
  const std::pair<const char*, std::vector<int64_t>> lies[] = {
      {"tokens_input_index", {1}},
      {"freqs_cos_input_index", {1}},
      {"freqs_cos_input_index", {-1}},
      {"mask_specs", {99, 15}},
      {"mask_specs", {1, 15, 2}},
      {"kv_cache_specs", {4, 1, 6, 3}},
      {"kv_cache_specs", {4, 1, 6, 3, 15, 4, 2, 7, 4, 15}},
      {"vocab_size", {11}},
  };
  for (const auto& [name, values] : lies) {
    File file(small_model(2, kContext - 8), {method_of(Role::Single, 8)});
    ASSERT_EQ(file.error(), "");
    file.say(name, values);
    EXPECT_NE(file.error().find(name), std::string::npos) << name << ": " << file.error();
  }
}

TEST(Reader, RefusesSignaturesOfSomethingElse) {
  const auto broken = [](const auto& change) {
    File file(small_model(2, kContext - 8), {method_of(Role::Single, 8)});
    change(file.methods[0]);
    return file.error();
  };
  const auto expect = [](const std::string& error, const char* part) {
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  expect(broken([](MethodTypes& m) { m.inputs.erase(m.inputs.begin()); }), "tokens int32[1,T]");
  expect(broken([](MethodTypes& m) { m.inputs.erase(m.inputs.begin() + 1); }), "a mask");
  expect(broken([](MethodTypes& m) { m.inputs.erase(m.inputs.begin() + 2); }), "RoPE");
  expect(broken([](MethodTypes& m) { m.inputs.pop_back(); }), "as many key caches");
  expect(broken([](MethodTypes& m) { m.inputs.back().shape[2] = 9; }), "caches of one type");
  expect(broken([](MethodTypes& m) { m.inputs[1].shape[2] = 30; }), "that fits the caches");
  expect(broken([](MethodTypes& m) { m.inputs[1].dtype = DType::F32; }), "of one dtype");
  expect(broken([](MethodTypes& m) { m.outputs.pop_back(); }), "5 outputs, found 4");
  expect(broken([](MethodTypes& m) { m.outputs[1].shape[2] = 9; }), "output 1");
  expect(broken([](MethodTypes& m) { m.outputs[0].shape[1] = 3; }), "one or all positions");
  File nothing(small_model(), {});
  expect(nothing.error(), "no method named forward");
}

TEST(Reader, RefusesMethodsThatShareNoCache) {
  File file(small_model(), {method_of(Role::Decode, 1), method_of(Role::Prefill, 8)});
  const File other(small_model(2, kContext - 8),
                   {method_of(Role::Decode, 1), method_of(Role::Prefill, 8)});
  file.forget();
  file.methods[1] = other.methods[1];
  EXPECT_NE(file.error().find("one cache format"), std::string::npos) << file.error();
}

}  // namespace
}  // namespace diptych::contract
