// cpu.attention: the caches are read in the caller's memory.
#include "engine/attention.h"

#include <optional>
#include <vector>

#include "engine/cells.h"
#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// One of the four tensors of keys or values, in cells or packed in fp16 or fp32.
struct ColumnsSource {
  Source source;
  int64_t columns;

  AttentionSource at(const Frame& frame) const {
    return {frame.bytes(source.place), source.packed && source.dtype == DType::F16, columns};
  }
};

Result<ColumnsSource> columns_source(const mil::Value& value, Lowering& lowering) {
  return ColumnsSource{TRY(lowering.source(value)), value.type.shape[2]};
}

// New keys or values as they will be found in a cache of halves: a token must look the same to
// those evaluated with it and to those that come later.
struct RoundedCopy {
  Place from, to;
  uint64_t count;

  void make(const Frame& frame) const {
    frame.overflows += narrow(DType::F16, frame.bytes(from), count, frame.bytes(to));
  }
};

// Makes `fresh` the copy, when it is needed.
Result<std::optional<RoundedCopy>> round_like(const ColumnsSource& cache, ColumnsSource& fresh,
                                              const mil::Value& value, Lowering& lowering) {
  if (cache.source.dtype != DType::F16 || !cache.source.packed || fresh.source.packed) {
    return std::nullopt;
  }
  const uint64_t count = TRY(element_count(value.type.shape));
  const RoundedCopy copy{fresh.source.place, TRY(lowering.scratch((count + 1) / 2)), count};
  fresh.source = {copy.to, DType::F16, true};
  return copy;
}

}  // namespace

Status lower_cpu_attention(const mil::Op& op, Lowering& lowering) {
  const mil::Value& q_value = *op.operand("q");
  const Shape& cache = op.operand("k_cache")->type.shape;
  AttentionShape shape;
  shape.kv_heads = cache[1];
  shape.head_dim = cache[3];
  shape.rows = q_value.type.shape.end()[-2];
  shape.heads = op.result()->type.shape[2] / shape.head_dim;
  shape.scale = static_cast<float>(TRY(mil::float_param(op, "scale", 1)));
  const int64_t items = attention_items(shape);

  const Place q = TRY(lowering.cells(q_value));
  const Place mask = TRY(lowering.cells(*op.operand("mask")));
  const ColumnsSource k_cache = TRY(columns_source(*op.operand("k_cache"), lowering));
  const ColumnsSource v_cache = TRY(columns_source(*op.operand("v_cache"), lowering));
  ColumnsSource k = TRY(columns_source(*op.operand("k"), lowering));
  ColumnsSource v = TRY(columns_source(*op.operand("v"), lowering));
  const auto new_keys = TRY(round_like(k_cache, k, *op.operand("k"), lowering));
  const auto new_values = TRY(round_like(v_cache, v, *op.operand("v"), lowering));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    if (new_keys) new_keys->make(frame);
    if (new_values) new_values->make(frame);
    AttentionArguments arguments;
    arguments.shape = shape;
    arguments.q = frame.floats(q);
    arguments.mask = frame.floats(mask);
    arguments.out = frame.floats(result);
    arguments.k[0] = k_cache.at(frame);
    arguments.k[1] = k.at(frame);
    arguments.v[0] = v_cache.at(frame);
    arguments.v[1] = v.at(frame);
    frame.pool.parallel_for(items, 1, [&](int64_t begin, int64_t end) {
      // Grows once; afterwards computing a token allocates nothing.
      static thread_local std::vector<float> scratch;
      const size_t needed = attention_scratch(shape);
      if (scratch.size() < needed) scratch.resize(needed);
      attention(arguments, begin, end, scratch.data());
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
