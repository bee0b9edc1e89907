#include "compare/calls.h"

#include <algorithm>

#include "generate/masks.h"
#include "tensor/convert.h"

namespace diptych::compare {

namespace {

Feed feed(TensorType type) {
  Feed result{std::move(type), {}};
  result.data.resize(packed_size(result.type).value_or(0));
  return result;
}

void put_rope_rows(const contract::Description& model, const std::vector<std::byte>& table,
                   int64_t base, Feed& out) {
  const auto width = static_cast<size_t>(bit_width(model.dtype)) / 8;
  const size_t row_bytes = static_cast<size_t>(model.rope_width) * width;
  for (int64_t row = 0; row < out.type.shape[0]; ++row) {
    const int64_t position = std::min(base + row, model.max_context - 1);
    std::copy_n(&table[static_cast<size_t>(position) * row_bytes], row_bytes,
                &out.data[static_cast<size_t>(row) * row_bytes]);
  }
}

Feed copied(TensorType type, Bytes bytes) {
  return {std::move(type), {bytes.begin(), bytes.end()}};
}

}  // namespace

std::vector<int64_t> made_up_tokens(int64_t vocab_size, int64_t count) {
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back((7 + 31 * i) % vocab_size);
  return tokens;
}

std::vector<Feed> feeds_of(const contract::Description& model, const Call& call,
                           const generate::KvCache& cache) {
  const contract::Places& at = call.function->contract->places;
  const int64_t tokens = call.function->contract->method.tokens;
  std::vector<Feed> feeds;
  for (const mil::Value* input : call.function->function().inputs) {
    TensorType type = input->type;
    if (is_float(type.dtype)) type.dtype = model.dtype;
    feeds.push_back(feed(type));
  }
  for (int64_t row = 0; row < call.used(); ++row) {
    store(&feeds[at.tokens].data[4 * static_cast<size_t>(row)],
          static_cast<int32_t>(call.tokens[static_cast<size_t>(row)]));
  }
  if (at.last_position) {
    store(feeds[*at.last_position].data.data(), static_cast<int32_t>(call.last));
  }
  std::vector<int64_t> positions;
  for (int64_t row = 0; row < tokens; ++row) positions.push_back(call.base + row);
  for (size_t i = 0; i < at.masks.size(); ++i) {
    const contract::LayerClass& layers = model.classes[i];
    const generate::Columns columns{cache.first_position(layers), call.base, positions};
    for (int64_t row = 0; row < tokens; ++row) {
      generate::put_row(model, layers, columns, row, nullptr, feeds[at.masks[i]].data);
    }
  }
  for (size_t i = 0; i < at.cos.size(); ++i) {
    put_rope_rows(model, model.ropes[i].cos, call.base, feeds[at.cos[i]]);
    put_rope_rows(model, model.ropes[i].sin, call.base, feeds[at.sin[i]]);
  }
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    feeds[at.key_inputs[layer]] = copied(feeds[at.key_inputs[layer]].type, cache.keys(layer));
    feeds[at.value_inputs[layer]] = copied(feeds[at.value_inputs[layer]].type, cache.values(layer));
  }
  return feeds;
}

std::vector<const mil::Value*> outputs_of(const Function& function) {
  const contract::Places& at = function.contract->places;
  const auto& outputs = function.function().outputs;
  std::vector<const mil::Value*> values;
  for (size_t layer = 0; layer < at.key_outputs.size(); ++layer) {
    values.push_back(outputs[at.key_outputs[layer]]);
    values.push_back(outputs[at.value_outputs[layer]]);
  }
  values.push_back(outputs[at.logits]);
  return values;
}

void append(const contract::Description& model, const Function& function,
            std::span<const std::vector<float>> outputs, int64_t row, generate::KvCache& cache) {
  const int64_t tokens = function.contract->method.tokens;
  const auto pack = [&](const std::vector<float>& values) {
    std::vector<std::byte> packed(values.size() * static_cast<size_t>(bit_width(model.dtype)) / 8);
    convert_floats(reinterpret_cast<const std::byte*>(values.data()), DType::F32, values.size(),
                   packed.data(), model.dtype);
    return packed;
  };
  generate::FreshRows fresh;
  fresh.tokens = tokens;
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    fresh.keys.push_back(pack(outputs[2 * layer]));
    fresh.values.push_back(pack(outputs[2 * layer + 1]));
  }
  cache.append(fresh, row);
}

}  // namespace diptych::compare
