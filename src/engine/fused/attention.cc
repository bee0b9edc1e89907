// cpu.attention: the caches and the mask are read in the caller's memory.
#include "engine/attention.h"

#include <optional>

#include "engine/cells.h"
#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Elements worth a thread of their own when they are rounded.
constexpr int64_t kRoundingGrain = 1 << 13;
// Multiply-adds worth a thread of their own.
constexpr int64_t kAttentionGrain = 1 << 15;
// Bytes of a mask worth a thread of their own.
constexpr int64_t kMaskGrain = 1 << 16;

bool is_half(const Source& source) { return source.packed && source.dtype == DType::F16; }

AttentionSource at(const Source& source, const Frame& frame) {
  return {frame.bytes(source.place), is_half(source)};
}

// New keys or values as they will be found in a cache of halves: a token must look the same to
// those evaluated with it and to those that come later.
struct RoundedCopy {
  Place from, to;
  int64_t count;

  void make(const Frame& frame) const {
    frame.pool.parallel_for(count, kRoundingGrain, [&](int64_t begin, int64_t end) {
      frame.overflows += narrow(DType::F16, frame.bytes(from) + begin * kCellSize,
                                static_cast<uint64_t>(end - begin), frame.bytes(to) + begin * 2);
    });
  }
};

// Makes `fresh` the copy, when it is needed.
Result<std::optional<RoundedCopy>> round_like(const Source& cache, Source& fresh,
                                              const mil::Value& value, Lowering& lowering) {
  if (!is_half(cache) || fresh.packed) return std::nullopt;
  const uint64_t count = TRY(element_count(value.type.shape));
  const RoundedCopy copy{fresh.place, TRY(lowering.scratch((count + 1) / 2)),
                         static_cast<int64_t>(count)};
  fresh = {copy.to, DType::F16, true};
  return copy;
}

// What every row of the mask shows, found once for all operations that ask for the same.
Result<Place> visible_columns(const mil::Value& mask, const AttentionShape& shape, Hiding hiding,
                              Lowering& lowering) {
  const int64_t rows = shape.rows;
  const AttentionColumns columns = shape.columns;
  const auto make = [&](Place out) -> Result<Run> {
    const Source from = TRY(lowering.source(mask));
    const int64_t grain =
        std::max<int64_t>(kMaskGrain / ((is_half(from) ? 2 : 4) * columns.count()), 1);
    return Run([=](const Frame& frame) -> Status {
      frame.pool.parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
        find_visible(columns, frame.bytes(from.place), is_half(from), hiding, begin, end,
                     reinterpret_cast<uint8_t*>(frame.bytes(out)));
      });
      return {};
    });
  };
  const std::string what =
      fmt::format("visible columns of {}+{}{} in", columns.parts[0], columns.parts[1],
                  hiding == Hiding::Finite ? ", finite entries hiding," : "");
  return lowering.derived(mask, what, static_cast<uint64_t>(rows * columns.blocks()), make);
}

}  // namespace

Status lower_cpu_attention(const mil::Op& op, Lowering& lowering) {
  const mil::Value& q_value = *op.operand("q");
  const mil::Value& mask_value = *op.operand("mask");
  const Shape& cache = op.operand("k_cache")->type.shape;
  AttentionShape shape;
  shape.kv_heads = cache[1];
  shape.head_dim = cache[3];
  shape.rows = q_value.type.shape.end()[-2];
  shape.heads = op.result()->type.shape[2] / shape.head_dim;
  shape.columns = {{cache[2], op.operand("k")->type.shape[2]}};
  shape.scale = static_cast<float>(TRY(mil::float_param(op, "scale", 1)));
  shape.cap = static_cast<float>(TRY(mil::float_param(op, "cap", 0)));

  const StepRows rows{shape.rows, attention_skips(op, "q", lowering.token_axes())};
  const bool finite = q_value.type.dtype == DType::F16 && finite_entries_hide(shape.scale);
  const Place visible =
      TRY(visible_columns(mask_value, shape, finite ? Hiding::Finite : Hiding::Infinite, lowering));
  const Source mask = TRY(lowering.source(mask_value));
  const Place q = TRY(lowering.cells(q_value));
  const Source k_cache = TRY(lowering.source(*op.operand("k_cache")));
  const Source v_cache = TRY(lowering.source(*op.operand("v_cache")));
  Source k = TRY(lowering.source(*op.operand("k")));
  Source v = TRY(lowering.source(*op.operand("v")));
  const auto new_keys = TRY(round_like(k_cache, k, *op.operand("k"), lowering));
  const auto new_values = TRY(round_like(v_cache, v, *op.operand("v"), lowering));
  const Place result = TRY(lowering.result(*op.result()));
  const bool fills_padding = lowering.fills_padding(*op.result());
  lowering.thread_scratch(attention_scratch(shape) * sizeof(float));
  Run run = [=](const Frame& frame) -> Status {
    if (new_keys) new_keys->make(frame);
    if (new_values) new_values->make(frame);
    AttentionArguments arguments;
    arguments.shape = shape;
    arguments.shape.rows = frame.live(rows);
    arguments.q = frame.floats(q);
    arguments.q_stride = shape.rows * shape.head_dim;
    arguments.k[0] = at(k_cache, frame);
    arguments.k[1] = at(k, frame);
    arguments.v[0] = at(v_cache, frame);
    arguments.v[1] = at(v, frame);
    arguments.mask = at(mask, frame);
    arguments.visible = reinterpret_cast<const uint8_t*>(frame.bytes(visible));
    arguments.out = frame.floats(result);
    const SeenColumns seen = seen_columns(shape.columns, arguments.shape.rows, arguments.visible);
    const int64_t item_queries =
        attention_item_queries(arguments.shape, seen.blocks, frame.pool.threads());
    const int64_t items = attention_items(arguments.shape, item_queries);
    const int64_t work = 2 * shape.head_dim * shape.heads * seen.pairs;
    const int64_t grain = work < kAttentionGrain ? items : 1;
    frame.pool.parallel_for(items, grain, [&](int64_t begin, int64_t end, int thread) {
      attention(arguments, item_queries, begin, end,
                reinterpret_cast<float*>(frame.scratch(thread)));
    });
    if (fills_padding) frame.repeat_first(result, rows, shape.heads * shape.head_dim);
    return {};
  };
  lowering.emit(op, std::move(run), rows);
  return {};
}

}  // namespace diptych::engine
