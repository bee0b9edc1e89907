#include "faults.h"

#include <algorithm>
#include <map>

#include "base/file.h"
#include "exporter/export.h"
#include "pte/constant_method.h"
#include "surgery.h"
#include "testing/adapter.h"
#include "testing/shared_data.h"

namespace diptych::testing {

namespace {

constexpr char kShape[] = "dim=64,layers=4,heads=4,kv_heads=2,hidden=128,vocab=512,tied=false";
constexpr AdapterShape kAdapterShape = {4, 64, 32, 128, 4, 0.25};

// A weight of one function's own with the same bytes.
void duplicate(mil::Function& function) {
  if (function.name != "prefill") return;
  mil::Value* data = find_constant(function, "layers_1_feed_forward_w2_weight_0_dequantized_data");
  if (data == nullptr) return;
  const Bytes bytes = *data->weight->bytes();
  data->weight =
      memory_weight(data->type, std::vector<std::byte>(bytes.begin(), bytes.end())).value();
}

bool is_prefill(const mil::Function& function) { return function.name == "prefill"; }
bool is_decode(const mil::Function& function) { return function.name == "forward"; }

// Does something to an operation, where the function has it.
template <class Change>
std::function<void(mil::Function&)> at(std::string prefix, std::string type, size_t n,
                                       Change change) {
  return [=](mil::Function& function) {
    if (mil::Op* op = find_op(function, prefix, type, n)) change(function, *op);
  };
}
template <class Change>
std::function<void(mil::Function&)> in(bool (*which)(const mil::Function&), std::string prefix,
                                       std::string type, size_t n, Change change) {
  return [=](mil::Function& function) {
    if (which(function)) at(prefix, type, n, change)(function);
  };
}

// Of the concats that join a cache and new rows: of layers with graph breaks V's, then K's.
template <class Change>
std::function<void(mil::Function&)> at_concat(bool (*which)(const mil::Function&),
                                              std::string prefix, size_t n, Change change) {
  return [=](mil::Function& function) {
    size_t left = n;
    for (size_t i = 0; which(function); ++i) {
      mil::Op* op = find_op(function, prefix, "concat", i);
      if (op == nullptr) return;
      if (op->operand_list("values").size() != 2) continue;
      if (left-- == 0) return change(function, *op);
    }
  };
}

void exchange_values(mil::Function&, mil::Op& op) {
  std::swap(operand(op, "values", 0), operand(op, "values", 1));
}
void drop(mil::Function& function, mil::Op& op) {
  function.replace_uses(op.result(), op.operand("x"));
}

std::function<void(mil::Function&, mil::Op&)> with_number(std::string param, double number) {
  return [=](mil::Function& function, mil::Op& op) {
    mil::Value*& value = operand(op, param);
    value = function.add_constant("other", constant_floats(value->type.dtype, {}, {number}));
  };
}

// Gives the weights whose names begin so other elements.
std::function<void(mil::Function&)> with_weight(std::string prefix,
                                                std::function<float(size_t, float)> change,
                                                bool (*which)(const mil::Function&) = nullptr) {
  // By weights, which are kept so that no other takes the place of one.
  auto made = std::make_shared<std::map<WeightRef, WeightRef>>();
  return [=](mil::Function& function) {
    if (which != nullptr && !which(function)) return;
    if (mil::Value* constant = find_constant(function, prefix)) {
      WeightRef& weight = (*made)[constant->weight];
      if (weight == nullptr) weight = changed(*constant->weight, change);
      constant->weight = weight;
    }
  };
}

// Exchanges the outputs of a function that have these names.
std::function<void(mil::Function&)> exchange_outputs(std::string one, std::string two) {
  return [=](mil::Function& function) {
    const auto find = [&](const std::string& name) {
      return std::find_if(function.outputs.begin(), function.outputs.end(),
                          [&](const mil::Value* value) { return value->name == name; });
    };
    const auto x = find(one), y = find(two);
    if (x != function.outputs.end() && y != function.outputs.end()) std::iter_swap(x, y);
  };
}

// The values of one constant's place taken by another's, both ways.
std::function<void(mil::Function&)> exchange_weights(std::string one, std::string two) {
  return [=](mil::Function& function) {
    for (const char* part : {"_data", "_scale"}) {
      mil::Value *x = find_constant(function, one + part), *y = find_constant(function, two + part);
      if (x != nullptr && y != nullptr) std::swap(x->weight, y->weight);
    }
  };
}

mil::Value* input_named(mil::Function& function, std::string_view part) {
  for (mil::Value* input : function.inputs) {
    if (input->name.find(part) != input->name.npos) return input;
  }
  return nullptr;
}

void set_ints(pte::Program& program, const std::string& name, std::vector<int64_t> values) {
  auto method = pte::constant_ints_method(program, name, values);
  ASSERT_OK(method);
  ASSERT_OK(pte::set_constant_method(program, std::move(*method)));
}
void set_int(pte::Program& program, const std::string& name, int64_t value) {
  ASSERT_OK(pte::set_constant_method(program, pte::constant_method(name, value)));
}

// Adds to a table of integers, keeping its shape.
void change_table(pte::Program& program, const std::string& name,
                  const std::function<void(std::vector<int64_t>&)>& change) {
  const auto value = pte::constant_value(program, name);
  ASSERT_OK(value);
  const auto& tensor = std::get<pte::ConstantTensor>(*value);
  std::vector<int64_t> ints = pte::to_ints(tensor).value();
  change(ints);
  const auto bytes = std::as_bytes(std::span(ints));
  auto method = pte::constant_tensor_method(program, name, tensor.type,
                                            std::vector<std::byte>(bytes.begin(), bytes.end()));
  ASSERT_OK(method);
  ASSERT_OK(pte::set_constant_method(program, std::move(*method)));
}

// Rows of a table moved up by one.
void shift_rows(pte::Program& program, const std::string& name) {
  const auto value = pte::constant_value(program, name);
  ASSERT_OK(value);
  const auto& tensor = std::get<pte::ConstantTensor>(*value);
  std::vector<std::byte> bytes(tensor.bytes.begin(), tensor.bytes.end());
  const size_t row = bytes.size() / static_cast<size_t>(tensor.type.shape[0]);
  std::rotate(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(row), bytes.end());
  auto method = pte::constant_tensor_method(program, name, tensor.type, std::move(bytes));
  ASSERT_OK(method);
  ASSERT_OK(pte::set_constant_method(program, std::move(*method)));
}

void swap_nibbles(mil::Function& function) {
  mil::Value* data = find_constant(function, "layers_0_feed_forward_w1_weight_0_dequantized_data");
  if (data == nullptr) return;
  const Bytes bytes = *data->weight->bytes();
  std::vector<std::byte> swapped(bytes.begin(), bytes.end());
  for (std::byte& byte : swapped) byte = (byte << 4) | (byte >> 4);
  static std::map<WeightRef, WeightRef> made;
  WeightRef& weight = made[data->weight];
  if (weight == nullptr) weight = memory_weight(data->type, std::move(swapped)).value();
  data->weight = weight;
}

std::vector<Fault> all_faults() {
  const std::string kWq2 = "layers_2_attention_wq_weight_0_dequantized";
  return {
      {"RoPE halves swapped in one function", File::Several, "functions", "prefill, layer 2",
       "first to part: prefill, layer 2, stack",
       in(is_prefill, "layers_2_", "stack", 0, exchange_values)},
      {"RoPE halves swapped in one layer of all functions", File::Several, "layers",
       "layer 2, stack", "first to part: forward, layer 2, stack",
       at("layers_2_", "stack", 0, exchange_values)},
      {"cosines and sines exchanged in one layer", File::Single, "layers", "layer 1",
       "first to part: forward, layer 1, mul 'layers_1_mul_3'",
       at("layers_1_", "mul", 3,
          [](mil::Function& f, mil::Op& op) { operand(op, "y") = input_named(f, "freqs_sin"); })},
      {"a sign of the rotation lost", File::Several, "functions", "prefill, layer 0",
       "forward, layer 0, add 'layers_0_sub'",
       in(is_decode, "layers_0_", "sub", 0, [](mil::Function&, mil::Op& op) { op.type = "add"; })},
      {"the mask left out of one layer of prefill", File::Several, "functions", "prefill, layer 1",
       "lacks prefill, layer 1, add 'layers_1_add_3'",
       in(is_prefill, "layers_1_", "softmax", 0,
          [](mil::Function&, mil::Op& op) {
            operand(op, "x") = operand(op, "x")->producer->operand("x");
          })},
      {"the mask off by one in prefill", File::Several, "functions", "prefill, layer 1",
       "first to part: prefill, layer 1, add 'layers_1_add_3'",
       in(is_prefill, "layers_1_", "softmax", 0,
          [](mil::Function& f, mil::Op& op) {
            mil::Op& sum = *operand(op, "x")->producer;
            mil::Value*& mask = operand(sum, "y");
            const TensorType type = mask->type;
            TensorType most = type, one = type;
            most.shape[2] -= 1;
            one.shape[2] = 1;
            const auto ints = [&](std::vector<int64_t> values) {
              return f.add_constant("place", constant_ints(DType::Int32, {3}, values));
            };
            size_t position = 0;
            while (f.ops[position].get() != &sum) ++position;
            const int64_t rows = type.shape[1], columns = type.shape[2];
            const mil::Op* rest = f.insert_op(
                position, "slice_by_index",
                {{"x", {mask}}, {"begin", {ints({0, 0, 1})}}, {"end", {ints({1, rows, columns})}}},
                {{"rest", most}});
            const mil::Op* first = f.insert_op(
                position, "slice_by_index",
                {{"x", {mask}}, {"begin", {ints({0, 0, 0})}}, {"end", {ints({1, rows, 1})}}},
                {{"first", one}});
            mil::Value* axis = f.add_constant("axis", constant_ints(DType::Int32, {}, {2}));
            mil::Value* no = f.add_constant("no", constant_ints(DType::Bool, {}, {0}));
            mask = f.insert_op(position + 2, "concat",
                               {{"values", {rest->result(), first->result()}},
                                {"axis", {axis}},
                                {"interleave", {no}}},
                               {{"turned", type}})
                       ->result();
          })},
      {"one layer's scale changed in one function", File::Several, "functions",
       "prefill, layer 3, linear", "first to part: prefill, layer 3, linear 'layers_3_linear_0'",
       with_weight(
           "layers_3_attention_wq_weight_0_dequantized_scale",
           [](size_t, float x) { return 1.5F * x; }, is_prefill)},
      {"one layer's scale changed in all functions", File::Several, "source", "layer 2, linear",
       "first to part: forward, layer 2, linear 'layers_2_linear_0'",
       with_weight(kWq2 + "_scale", [](size_t, float x) { return 1.25F * x; }), nullptr, true},
      {"one row of a weight lost", File::Unquantised, "source", "layer 1, linear",
       "first to part: forward, layer 1, linear 'layers_1_linear_6_0'",
       with_weight("layers_1_feed_forward_w2_weight",
                   [](size_t i, float x) { return i < 128 ? 0.0F : x; }),
       nullptr, true},
      {"k and v outputs exchanged", File::Several, "layers", "layer 1",
       "prefill, layer 1, transpose 'new_v_1': both are new key 1",
       exchange_outputs("new_k_1", "new_v_1")},
      {"k and v outputs exchanged in a file of one function", File::Single, "functions",
       "forward, layer 1", "forward, layer 1, transpose 'new_v_1': both are new key 1",
       exchange_outputs("new_k_1", "new_v_1")},
      {"keys of two layers exchanged", File::Several, "functions", "layer 1",
       "forward, layer 2, reshape 'new_k_2': both are new key 1",
       exchange_outputs("new_k_1", "new_k_2")},
      {"another layer's cache", File::Several, "layers", "forward, layer 2, concat",
       "first to part: forward, layer 2, concat",
       at_concat(is_decode, "layers_2_", 1,
                 [](mil::Function& f, mil::Op& op) {
                   mil::Value*& cache = operand(op, "values", 0);
                   std::string name = cache->name;
                   name.replace(name.find("_l2_"), 4, "_l3_");
                   cache = f.find(name);
                 })},
      {"new keys before the cache", File::Several, "functions", "prefill, layer 1",
       "first to part: prefill, layer 1, concat",
       at_concat(is_prefill, "layers_1_", 1, exchange_values)},
      {"nibbles exchanged", File::Several, "source", "layer 0, linear",
       "first to part: forward, layer 0, linear 'layers_0_linear_4_0'", swap_nibbles, nullptr,
       true},
      {"weights of k and v exchanged", File::Several, "source", "layer 2, linear",
       "first to part: forward, layer 2, linear 'layers_2_linear_1_0'",
       exchange_weights("layers_2_attention_wk_weight_0_dequantized",
                        "layers_2_attention_wv_weight_0_dequantized"),
       nullptr, true},
      {"a layer computes with another's weight", File::Several, "layers", "layer 2, linear",
       "first to part: forward, layer 2, linear 'layers_2_linear_0'",
       [](mil::Function& f) {
         for (const char* part : {"_data", "_scale"}) {
           mil::Value* to =
               find_constant(f, std::string("layers_2_attention_wq_weight_0_dequantized") + part);
           mil::Value* from =
               find_constant(f, std::string("layers_1_attention_wq_weight_0_dequantized") + part);
           if (to != nullptr) to->weight = from->weight;
         }
       }},
      {"norm gain lost", File::Several, "layers", "layer 2, mul",
       "first to part: forward, layer 2, mul 'layers_2_mul_2'",
       with_weight("layers_2_attention_norm_weight", [](size_t, float) { return 1.0F; })},
      {"norm's multiplication lost", File::Several, "layers", "layer 2",
       "lacks forward, layer 2, mul 'layers_2_mul_2'", at("layers_2_", "mul", 2, drop)},
      {"norm's epsilon changed", File::Single, "layers", "layer 0, add",
       "first to part: forward, layer 0, add 'layers_0_add'",
       at("layers_0_", "add", 0, with_number("y", 0.1))},
      {"the scale of scores changed", File::Several, "layers", "layer 3, mul",
       "first to part: forward, layer 3, mul 'layers_3_mul_11'",
       at("layers_3_", "mul", 11, with_number("y", 0.125))},
      {"another activation", File::Single, "layers", "layer 1, relu", "forward, layer 1, relu",
       at("layers_1_", "silu", 0, [](mil::Function&, mil::Op& op) { op.type = "relu"; })},
      {"a residual lost in one function", File::Several, "layers", "forward, layer 3",
       "lacks forward, layer 3, add 'layers_3_add_6'",
       in(is_decode, "layers_3_", "linear", 6,
          [](mil::Function& f, mil::Op& op) {
            mil::Value* joined = nullptr;
            for (const auto& user : f.ops) {
              if (user->type == "concat" && user->operand_list("values").front() == op.result()) {
                joined = user->result();
              }
            }
            for (const auto& user : f.ops) {
              if (user->type == "add" && user->operand("y") == joined) {
                f.replace_uses(user->result(), joined);
                return;
              }
            }
          })},
      {"the head on the wrong row", File::Several, "functions", "prefill, gather",
       "first to part: prefill, gather 'gather_1'",
       in(is_prefill, "gather", "gather", 0,
          [](mil::Function& f, mil::Op& op) {
            mil::Value*& indices = operand(op, "indices");
            if (indices->type.shape != Shape{1}) return;
            indices = f.add_constant("row", constant_ints(indices->type.dtype, {1}, {0}));
          })},
      {"the final norm changed in one function", File::Several, "functions", "prefill, mul",
       "first to part: prefill, mul",
       with_weight(
           "norm_weight", [](size_t, float x) { return 1.1F * x; }, is_prefill)},
      {"the embedding changed in one function", File::Several, "functions", "prefill, gather",
       "first to part: prefill, gather 'gather'",
       with_weight(
           "tok_embeddings_weight_dequantized_scale", [](size_t, float x) { return 1.1F * x; },
           is_prefill)},
      {"fp16 overflow in a norm", File::Several, "typed", "layer 0, mul",
       "first to part: forward, gather 'gather'",
       with_weight("tok_embeddings_weight_dequantized_scale",
                   [](size_t, float x) { return 30000.0F * x; })},
      {"rows that vanish in fp16", File::Several, "typed", "layer 1",
       "first to part: forward, layer 1, linear 'layers_1_linear_4_0'",
       [](mil::Function& f) {
         for (const char* name : {"layers_1_feed_forward_w1_weight_0_dequantized_scale",
                                  "layers_1_feed_forward_w3_weight_0_dequantized_scale"}) {
           with_weight(name, [](size_t, float) { return 6e-8F; })(f);
         }
       }},
      {"an infinite weight", File::Unquantised, "typed", "layer 2",
       "first to part: forward, layer 2, linear 'layers_2_linear_3_0'",
       with_weight("layers_2_attention_wo_weight",
                   [](size_t i, float x) { return i == 5 ? INFINITY : x; })},
      {"a weight stored twice", File::Several, "sharing", "layers_1_feed_forward_w2_weight",
       "metadata bytes of weights", duplicate},
      {"an adapter's matrix changed in one function", File::Adapted, "functions",
       "prefill__tone, layer 1, linear", "first to part: prefill__tone, layer 1, linear",
       with_weight(
           "layers_1_feed_forward_w3_lora_a", [](size_t, float x) { return -x; },
           [](const mil::Function& f) { return f.name == "prefill__tone"; })},
      {"an adapter's matrix changed in all functions", File::Adapted, "source",
       "__tone, layer 2, linear", "first to part: forward__tone, layer 2, linear",
       with_weight("layers_2_attention_wk_lora_b", [](size_t, float x) { return 1.1F * x; }),
       nullptr, true},
      {"an adapter left out of one layer", File::Adapted, "layers", "forward__tone, layer 0",
       "lacks forward__tone, layer 0, linear",
       [](mil::Function& f) {
         if (f.name != "forward__tone") return;
         for (const auto& op : f.ops) {
           const mil::Value* y = op->type == "add" ? op->operand("y") : nullptr;
           const mil::Value* weight =
               y != nullptr && y->producer != nullptr ? y->producer->operand("weight") : nullptr;
           if (weight != nullptr && weight->name.starts_with("layers_0_feed_forward_w2_lora_b")) {
             return f.replace_uses(op->result(), op->operand("x"));
           }
         }
       }},
      {"an adapter whose numbers overflow", File::Adapted, "typed", "__tone, layer 3",
       "first to part: forward__tone, layer 3, linear",
       with_weight("layers_3_feed_forward_w2_lora_b", [](size_t, float x) { return 1e7F * x; })},
      {"a position table shifted", File::Several, "positions", "position 0", "metadata freqs_cos",
       nullptr,
       [](pte::Program& p) {
         shift_rows(p, "freqs_cos");
         shift_rows(p, "freqs_sin");
       }},
      {"sines of other positions", File::Several, "positions", "position table 0",
       "metadata freqs_sin", nullptr, [](pte::Program& p) { shift_rows(p, "freqs_sin"); }},
      {"a wrong EOS", File::WithTokenizer, "ends", "get_eos_ids", "metadata get_eos_ids", nullptr,
       [](pte::Program& p) { set_ints(p, "get_eos_ids", {300}); }},
      {"a BOS outside of the vocabulary", File::WithTokenizer, "ends", "get_bos_id",
       "metadata get_bos_id", nullptr, [](pte::Program& p) { set_int(p, "get_bos_id", 99999); }},
      {"a tokenizer of another model", File::Several, "tokenizer", "tokenizer",
       "metadata diptych.tokenizer", nullptr,
       [](pte::Program& p) {
         const auto text = read_text_file(source_path("demo/tokenizer.model"));
         ASSERT_OK(text);
         pte::set_named_data(p, "diptych.tokenizer", pte::Blob::own(*text));
       }},
      {"outputs of caches exchanged in the metadata", File::Several, "metadata", "layer 0",
       "metadata prefill_kv_cache_specs", nullptr,
       [](pte::Program& p) {
         change_table(p, "prefill_kv_cache_specs",
                      [](std::vector<int64_t>& rows) { std::swap(rows[1], rows[3]); });
       }},
      {"another vocabulary in the metadata", File::Several, "metadata", "", "metadata vocab_size",
       nullptr, [](pte::Program& p) { set_int(p, "vocab_size", 511); }},
      {"another number of tokens in the metadata", File::Several, "metadata", "prefill_input_len",
       "metadata prefill_input_len", nullptr,
       [](pte::Program& p) { set_int(p, "prefill_input_len", 17); }},
      {"a package cut off", File::Several, "structure", "", "faulty.pte", nullptr,
       [](pte::Program& p) {
         for (pte::NamedData& data : p.named_data) {
           if (data.key.starts_with("coreml_")) data.data = data.data.first(data.data.size() / 2);
         }
       }},
      {"an operation that the opset lacks", File::Several, "structure", "", "opset",
       [](mil::Function& f) { f.opset = "CoreML6"; }},
  };
}

}  // namespace

std::string source_of(File file) {
  return file == File::WithTokenizer ? source_path("demo/model.pth")
                                     : checkpoint("llama", kShape).value();
}

std::string adapter_of(File file) {
  static const std::string directory = write_adapter("tone", kAdapterShape, 5);
  return file == File::Adapted ? directory : "";
}

std::string good_file(File file) {
  static std::map<File, std::string> made;
  std::string& path = made[file];
  if (!path.empty()) return path;
  exporter::Options options;
  options.max_context_len = 96;
  options.input_len = 16;
  options.multifunction = file != File::Single;
  if (file == File::Unquantised) options.linear = options.embedding = std::nullopt;
  if (file == File::Adapted) options.adapters = {{"tone", adapter_of(file)}};
  path = temporary_directory() + fmt::format("/good{}.pte", static_cast<int>(file));
  Progress silent;
  const auto report = exporter::export_files(source_of(file), "", path, options, silent);
  EXPECT_TRUE(report.has_value()) << report.error().to_string();
  return path;
}

const std::vector<Fault>& faults() {
  static const std::vector<Fault> all = all_faults();
  return all;
}

std::string planted(const Fault& fault) {
  auto surgery = Surgery::open(good_file(fault.file)).value();
  const Status edited = fault.edit ? surgery.edit(fault.edit) : Status();
  EXPECT_TRUE(edited) << (edited ? "" : edited.error().to_string());
  if (fault.edit_program) fault.edit_program(surgery.program());
  std::string path = temporary_directory() + "/faulty.pte";
  EXPECT_TRUE(surgery.save(path));
  return path;
}

}  // namespace diptych::testing
