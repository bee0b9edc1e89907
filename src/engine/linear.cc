// linear and cpu.linear. Weights are multiplied from where they lie in the file: by the kernels of
// src/kernels, which in fast numerics let integer weights meet activations quantised to int8 and
// fp16 weights activations rounded to bf16, or in fp32, row by row, where those do not apply.
#include "kernels/linear.h"

#include <algorithm>
#include <variant>

#include "engine/fp32_linear.h"
#include "engine/joint_frame.h"
#include "engine/kernels.h"
#include "engine/palette.h"
#include "engine/stored_weight.h"
#include "kernels/bf16.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

using kernels::Arithmetic;
using kernels::FloatWeight;
using kernels::LinearWeight;

// Multiply-adds worth a thread of their own.
constexpr int64_t kLinearGrain = 1 << 16;
// Rows of weights that are enough to be divided by kernels::kFloatRowsAtOnce.
constexpr int64_t kManyRows = 1024;
static_assert(kernels::kFloatRowsAtOnce % kernels::kIntegerRowsAtOnce == 0);
// Elements of an operation's weights from which on products in bf16 are worth their rounding.
// Smaller ones, as of recurrent layers that are written out step by step, take no time to speak of,
// and their rows come short and often.
constexpr int64_t kWorthBf16 = (1 << 18) + 1;

// The bytes of a weight in memory, or nothing.
std::optional<Bytes> bytes_of(const mil::Value* value) {
  if (value == nullptr || !value->is_constant()) return std::nullopt;
  return value->weight->bytes();
}

// What scaled integers stand for, when they lie in memory and their offsets, if they have any, are
// of the scales' type.
struct IntegerWeight {
  ScaledWeight stored;
  LinearWeight weight;
};
std::optional<IntegerWeight> integer_weight(const mil::Value& value) {
  if (value.type.rank() != 2) return std::nullopt;
  auto stored = scaled_weight(value);
  if (stored) stored = with_scales_per_row(std::move(*stored));
  if (!stored) return std::nullopt;
  const auto& [data, scale, offset, as_stored] = *stored;
  const auto data_bytes = data->bytes(), scale_bytes = scale->bytes(),
             offset_bytes = offset == nullptr ? std::nullopt : offset->bytes();
  if (!data_bytes || !scale_bytes ||
      (offset != nullptr && (!offset_bytes || offset->dtype() != scale->dtype()))) {
    return std::nullopt;
  }
  const int64_t rows = value.type.shape[0], columns = value.type.shape[1];
  const LinearWeight weight{data_bytes->data(),
                            data->dtype(),
                            rows,
                            columns,
                            scale_bytes->data(),
                            scale->dtype(),
                            columns / scale->shape()[1],
                            offset_bytes ? offset_bytes->data() : nullptr};
  return IntegerWeight{std::move(*stored), weight};
}

std::optional<FloatWeight> float_weight(const mil::Value& value) {
  const auto bytes = bytes_of(&value);
  const DType dtype = value.type.dtype;
  if (!bytes || (dtype != DType::F16 && dtype != DType::F32)) return std::nullopt;
  return FloatWeight{bytes->data(), dtype, value.type.shape[0], value.type.shape[1]};
}

// x [rows, columns] in the forms that the weights of an operation need.
struct Activations {
  StepRows all;
  int64_t rows = 1, columns = 0;                             // rows: those that are computed
  std::optional<Place> floats, in_bf16, for_int4, for_int8;  // those that the weights need
};

// A weight that is multiplied in bf16, and one that is as floats.
struct InBf16 {
  FloatWeight weight;
};
struct Dequantized {
  LinearWeight weight;
};
struct DequantizedPalette {
  Palette palette;
};

// Rows [first, first + count) of all weights of an operation, and where their results go.
struct Segment {
  int64_t first, count;
  Place out;
  int64_t out_first, out_width;  // the first row's column in the result, and columns of the result
  std::optional<Place> bias{}, residual{};  // the residual lies as the result does
  std::variant<LinearWeight, FloatWeight, InBf16, Dequantized, Palette, DequantizedPalette,
               Fp32Linear>
      weight{};
};

// Slots of JointMemory: what lies at a place, and what only one step uses.
constexpr size_t kGathered = 0, kResults = 1, kFirstPlace = 2;
size_t slot_of(Place place) { return kFirstPlace + static_cast<size_t>(place); }

float* joint_floats(const JointFrame& joint, size_t slot, int64_t rows, int64_t columns) {
  const auto count = static_cast<size_t>(rows * columns);
  return reinterpret_cast<float*>(joint.memory.of(slot, count * sizeof(float)));
}

// Copies joint rows [begin, end) of what lies at a place in each frame.
void gather(const JointFrame& joint, Place from, const StepRows& all, int64_t columns,
            int64_t begin, int64_t end, float* to) {
  joint.for_rows(all, begin, end, [&](int64_t row, const Frame& frame, int64_t own) {
    std::copy_n(frame.floats(from) + own * columns, columns, to + row * columns);
  });
}

// x in another form, of size_of(rows) bytes, which may have room for more rows (kernels take some
// together); made once for all operations that ask for it, by prepare(x, rows of x, first, last,
// out) for its rows [first, last).
template <class SizeOf, class Prepare>
Result<Place> prepared(const mil::Value& x, const char* what, const Activations& shape,
                       Lowering& lowering, const SizeOf& size_of, const Prepare& prepare) {
  const auto make = [&](Place out) -> Result<Runs> {
    const Place from = TRY(lowering.cells(x));
    const int64_t grain = std::max<int64_t>(kLinearGrain / (8 * shape.columns), 1);
    const Run alone = [=, rows = shape.all](const Frame& frame) -> Status {
      const int64_t live = frame.live(rows);
      frame.pool.parallel_for(live, grain, [&](int64_t begin, int64_t end) {
        prepare(frame.floats(from), live, begin, end, frame.bytes(out));
      });
      return {};
    };
    const RunTogether together = [=, columns = shape.columns,
                                  all = shape.all](const JointFrame& joint) -> Status {
      const int64_t rows = joint.rows(all);
      float* const floats = joint_floats(joint, kGathered, rows, columns);
      auto* const made = joint.memory.of(slot_of(out), size_of(rows));
      joint.pool.parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
        gather(joint, from, all, columns, begin, end, floats);
        prepare(floats, rows, begin, end, made);
      });
      return {};
    };
    return Runs(alone, together);
  };
  return lowering.derived(x, what, size_of(shape.rows), make);
}

// x quantised for weights of a type.
Result<Place> quantized(const mil::Value& x, DType weights, const Activations& shape,
                        Lowering& lowering) {
  const kernels::Isa isa = kernels::selected_isa();
  return prepared(
      x, weights == DType::Int4 ? "quantize for int4" : "quantize for int8", shape, lowering,
      [isa, columns = shape.columns](int64_t rows) {
        return kernels::quantized_bytes(isa, rows, columns);
      },
      [isa, weights, columns = shape.columns](const float* from, int64_t rows, int64_t first,
                                              int64_t last, std::byte* out) {
        kernels::quantize(isa, from, columns, columns, weights, rows, first, last, out);
      });
}

// x rounded to bf16.
Result<Place> in_bf16(const mil::Value& x, const Activations& shape, Lowering& lowering) {
  return prepared(
      x, "round to bf16", shape, lowering,
      [columns = shape.columns](int64_t rows) { return kernels::bf16_bytes(rows, columns); },
      [isa = kernels::selected_isa(), columns = shape.columns](
          const float* from, int64_t rows, int64_t first, int64_t last, std::byte* out) {
        kernels::round_to_bf16(isa, from, columns, columns, rows, first, last, out);
      });
}

// Rows of x in the forms that weights meet.
struct Operand {
  int64_t rows, columns;
  const float* floats;
  const std::byte *in_bf16, *for_int4, *for_int8;

  kernels::QuantizedActivations quantized(DType weights) const {
    return {weights == DType::Int4 ? for_int4 : for_int8, weights, rows, columns};
  }
};

// The products with rows [begin, end) of a weight, row m's from out + m * stride + begin on.
Status multiply(const Frame& frame, int thread, const Operand& x, const Segment& segment,
                int64_t begin, int64_t end, float* out, int64_t stride) {
  const kernels::Isa isa = kernels::selected_isa();
  if (const auto* integers = std::get_if<LinearWeight>(&segment.weight)) {
    kernels::linear(isa, *integers, x.quantized(integers->dtype), begin, end, out, stride);
  } else if (const auto* in_bf16 = std::get_if<InBf16>(&segment.weight)) {
    kernels::linear_bf16(isa, in_bf16->weight, {x.in_bf16, x.rows, x.columns}, begin, end, out,
                         stride);
  } else if (const auto* floats = std::get_if<FloatWeight>(&segment.weight)) {
    kernels::linear_float(isa, *floats, x.floats, x.columns, x.rows, begin, end, out, stride);
  } else if (const auto* dequantized = std::get_if<Dequantized>(&segment.weight)) {
    kernels::linear_dequantized(isa, dequantized->weight, x.floats, x.columns, x.rows, begin, end,
                                out, stride);
  } else if (const auto* palette = std::get_if<Palette>(&segment.weight)) {
    kernels::linear_palette(isa, palette->weight(),
                            x.quantized(kernels::palette_activations(palette->bits())), begin, end,
                            out, stride);
  } else if (const auto* entries = std::get_if<DequantizedPalette>(&segment.weight)) {
    kernels::linear_palette_dequantized(isa, entries->palette.weight(), x.floats, x.columns, x.rows,
                                        begin, end, out, stride);
  } else {
    return std::get<Fp32Linear>(segment.weight)
        .multiply(frame, thread, x.floats, x.rows, begin, end, out, stride);
  }
  return {};
}

// Adds bias and residual to columns [begin, end) of a row of products.
void finish_row(const Frame& frame, const Segment& segment, int64_t row, int64_t begin, int64_t end,
                float* out) {
  const auto add = [&](const float* from) {
    for (int64_t i = begin; i < end; ++i) out[i] += from[i];
  };
  if (segment.bias) add(frame.floats(*segment.bias));
  if (segment.residual) {
    add(frame.floats(*segment.residual) + row * segment.out_width + segment.out_first);
  }
}

// A linear of one input and several weights, whose rows are counted through.
struct Linear {
  Activations x;
  std::vector<Segment> segments;
  struct Result {
    Place out;
    int64_t width;
    bool fills_padding;
  };
  std::vector<Result> results;
  int64_t weight_rows = 0, grain = 1;

  // Calls visit(segment, its first row, its last row) for the weights' rows [begin, end).
  template <class Visit>
  Status for_segments(int64_t begin, int64_t end, const Visit& visit) const {
    for (const Segment& segment : segments) {
      const int64_t from = std::max(begin, segment.first) - segment.first;
      const int64_t to = std::min(end, segment.first + segment.count) - segment.first;
      if (from < to) TRY(visit(segment, from, to));
    }
    return {};
  }

  Status run(const Frame& frame) const {
    const auto at = [&](std::optional<Place> place) {
      return place ? frame.bytes(*place) : nullptr;
    };
    const Operand operand{
        frame.live(x.all), x.columns,      reinterpret_cast<const float*>(at(x.floats)),
        at(x.in_bf16),     at(x.for_int4), at(x.for_int8)};
    const auto some = [&](int64_t begin, int64_t end, int thread) {
      return for_segments(begin, end,
                          [&](const Segment& segment, int64_t from, int64_t to) -> Status {
                            float* const out = frame.floats(segment.out) + segment.out_first;
                            const int64_t stride = segment.out_width;
                            TRY(multiply(frame, thread, operand, segment, from, to, out, stride));
                            for (int64_t row = 0; row < operand.rows; ++row) {
                              finish_row(frame, segment, row, from, to, out + row * stride);
                            }
                            return {};
                          });
    };
    TRY(parallel_status(frame.pool, weight_rows, grain, some));
    fill_padding(frame);
    return {};
  }

  Status run_together(const JointFrame& joint) const {
    const int64_t rows = joint.rows(x.all);
    const auto made = [&](std::optional<Place> place) {
      return place ? joint.memory.of(slot_of(*place), 0) : nullptr;
    };
    float* floats = nullptr;
    if (x.floats) {
      floats = joint_floats(joint, kGathered, rows, x.columns);
      gather(joint, *x.floats, x.all, x.columns, 0, rows, floats);
    }
    const Operand operand{
        rows, x.columns, floats, made(x.in_bf16), made(x.for_int4), made(x.for_int8)};
    // Products first, since rows of several executions do not lie at one distance.
    float* const products = joint_floats(joint, kResults, rows, weight_rows);
    const auto some = [&](int64_t begin, int64_t end, int thread) {
      return for_segments(
          begin, end, [&](const Segment& segment, int64_t from, int64_t to) -> Status {
            float* const out = products + segment.first;
            TRY(multiply(joint.frames.front(), thread, operand, segment, from, to, out,
                         weight_rows));
            joint.for_rows(x.all, 0, rows, [&](int64_t row, const Frame& frame, int64_t own) {
              const float* const product = out + row * weight_rows;
              float* const result =
                  frame.floats(segment.out) + own * segment.out_width + segment.out_first;
              std::copy(product + from, product + to, result + from);
              finish_row(frame, segment, own, from, to, result);
            });
            return {};
          });
    };
    TRY(parallel_status(joint.pool, weight_rows, grain, some));
    for (const Frame& frame : joint.frames) fill_padding(frame);
    return {};
  }

  void fill_padding(const Frame& frame) const {
    for (const auto& [out, width, fills_padding] : results) {
      if (fills_padding) frame.repeat_first(out, x.all, width);
    }
  }
};

// A weight that is indices into tables, where the kernels take it. Returns what it is multiplied
// in, or nothing for any other weight.
Result<std::optional<Arithmetic>> open_palette(const mil::Value& weight, const mil::Value& x_value,
                                               Lowering& lowering, Segment& segment,
                                               Activations& x) {
  const bool fast = lowering.numerics() == Numerics::Fast;
  auto palette = TRY(Palette::open(weight, fast ? Palette::Form::Int8 : Palette::Form::Fp32));
  if (!palette) return std::nullopt;
  std::optional<LookedUp::Rows> rows;
  if (fast) rows = TRY(lowering.looked_up(*palette));
  lowering.keep(rows ? rows->codes : palette->stored().indices);
  lowering.keep(rows ? rows->scales : palette->stored().tables);
  if (!fast) {
    x.floats = TRY(lowering.cells(x_value));
    segment.weight = DequantizedPalette{std::move(*palette)};
    return Arithmetic::Fp32;
  }
  const DType activations = kernels::palette_activations(palette->bits());
  auto& place = activations == DType::Int4 ? x.for_int4 : x.for_int8;
  place = TRY(quantized(x_value, activations, x, lowering));
  if (rows) {
    segment.weight = rows->weight();
  } else {
    segment.weight = std::move(*palette);
  }
  return activations == DType::Int4 ? Arithmetic::Int4 : Arithmetic::Int8;
}

// Chooses how a weight is multiplied, and brings x into the form that takes. On success returns
// what it is multiplied in.
// `all_elements` are those of all weights of the operation.
Result<Arithmetic> open_weight(const mil::Value& weight, const mil::Value& x_value, bool by_kernels,
                               int64_t all_elements, Lowering& lowering, Segment& segment,
                               Activations& x) {
  const Numerics numerics = lowering.numerics();
  if (by_kernels) {
    const auto arithmetic = TRY(open_palette(weight, x_value, lowering, segment, x));
    if (arithmetic) return *arithmetic;
  }
  // (Typed numerics rounds what integers stand for.)
  const bool as_integers = by_kernels && numerics != Numerics::Typed;
  const auto integers = as_integers ? integer_weight(weight) : std::nullopt;
  const auto floats = by_kernels ? float_weight(weight) : std::nullopt;
  const auto keep_integers = [&] {
    lowering.keep(integers->stored.data);
    lowering.keep(integers->stored.scale);
    if (integers->stored.offset != nullptr) lowering.keep(integers->stored.offset);
  };
  if (numerics == Numerics::Fast && integers && integers->stored.as_stored &&
      kernels::supported(integers->weight)) {
    const DType dtype = integers->weight.dtype;
    auto& place = dtype == DType::Int4 ? x.for_int4 : x.for_int8;
    place = TRY(quantized(x_value, dtype, x, lowering));
    segment.weight = integers->weight;
    keep_integers();
    return dtype == DType::Int4 ? Arithmetic::Int4 : Arithmetic::Int8;
  }
  if (numerics == Numerics::Fast && floats && floats->dtype == DType::F16 &&
      all_elements >= kWorthBf16 && kernels::has_bf16(kernels::selected_isa())) {
    x.in_bf16 = TRY(in_bf16(x_value, x, lowering));
    segment.weight = InBf16{*floats};
    lowering.keep(weight.weight);
    return Arithmetic::Bf16;
  }
  x.floats = TRY(lowering.cells(x_value));
  if (floats) {
    segment.weight = *floats;
    lowering.keep(weight.weight);
  } else if (integers && kernels::can_dequantize(integers->weight)) {
    segment.weight = Dequantized{integers->weight};
    keep_integers();
  } else {
    segment.weight = TRY(Fp32Linear::open(weight, x.rows, lowering));
  }
  return Arithmetic::Fp32;
}

// `counts[i]` weights make up result i.
Status lower_weights(const mil::Op& op, const std::vector<mil::Value*>& weights,
                     const std::vector<mil::Value*>& biases, const std::vector<int64_t>& counts,
                     bool by_kernels, Lowering& lowering) {
  const mil::Value& x_value = *op.operand("x");
  std::optional<Place> residual;
  if (const mil::Value* value = op.operand("residual")) residual = TRY(lowering.cells(*value));
  Linear linear;
  Activations& x = linear.x;
  x.columns = x_value.type.shape.back();
  x.all = lowering.rows_of(x_value);
  x.rows = x.all.count;
  kernels::ByArithmetic<uint64_t> row_multiply_adds;
  int64_t all_elements = 0;
  for (const mil::Value* weight : weights) {
    all_elements += weight->type.shape[0] * weight->type.shape[1];
  }
  int64_t& first = linear.weight_rows;
  for (size_t result = 0, i = 0; result < op.results.size(); ++result) {
    const Place out = TRY(lowering.result(*op.results[result]));
    const int64_t width = op.results[result]->type.shape.back();
    const int64_t result_first = first;
    linear.results.push_back({out, width, lowering.fills_padding(*op.results[result])});
    for (const size_t end = i + static_cast<size_t>(counts[result]); i < end; ++i) {
      Segment segment{first, weights[i]->type.shape[0], out, first - result_first, width};
      segment.residual = residual;
      const Arithmetic arithmetic =
          TRY(open_weight(*weights[i], x_value, by_kernels, all_elements, lowering, segment, x));
      row_multiply_adds[arithmetic] += static_cast<uint64_t>(segment.count * x.columns);
      if (!biases.empty()) segment.bias = TRY(lowering.cells(*biases[i]));
      first += segment.count;
      linear.segments.push_back(std::move(segment));
    }
  }
  linear.grain = std::max<int64_t>(kLinearGrain / (x.columns * x.rows), 1);
  if (x.rows > 1) {
    const bool many = first >= kManyRows;
    linear.grain =
        std::max(linear.grain, many ? kernels::kFloatRowsAtOnce : kernels::kIntegerRowsAtOnce);
  }
  const auto shared = std::make_shared<const Linear>(std::move(linear));
  lowering.emit(op,
                Runs([shared](const Frame& frame) { return shared->run(frame); },
                     [shared](const JointFrame& joint) { return shared->run_together(joint); }),
                shared->x.all, row_multiply_adds);
  return {};
}

}  // namespace

// Never by kernels: it is the reference of cpu.linear.
Status lower_linear(const mil::Op& op, Lowering& lowering) {
  const bool all_floats = std::all_of(
      op.operands.begin(), op.operands.end(),
      [](const mil::Operand& operand) { return is_float(operand.values.front()->type.dtype); });
  if (!all_floats) return lower_plain_linear(op, lowering);
  return lower_weights(op, op.operand_list("weight"), op.operand_list("bias"), {1}, false,
                       lowering);
}

Status lower_cpu_linear(const mil::Op& op, Lowering& lowering) {
  return lower_weights(op, op.operand_list("weights"), op.operand_list("biases"),
                       TRY(mil::linear_counts(op)), true, lowering);
}

}  // namespace diptych::engine
