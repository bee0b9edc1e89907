#include "engine/lowering.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/kernels.h"
#include "engine/truncate.h"
#include "engine/unpack.h"
#include "engine/vector_ops.h"

namespace diptych::engine {
namespace {

StepLabel label(const mil::Op& op) {
  return {op.type, op.results.empty() ? "" : op.result()->name};
}

// Rounding is cheap: only large results are worth several threads.
constexpr int64_t kRoundingGrain = 1 << 16;

// Bytes of a weight that are read at a time when it is brought into cells.
constexpr uint64_t kReadSize = 1 << 16;

void round_cells(const Frame& frame, Place place, uint64_t count) {
  float* values = frame.floats(place);
  frame.pool.parallel_for(
      static_cast<int64_t>(count), kRoundingGrain, [&](int64_t begin, int64_t end) {
        frame.overflows += round_to_halves(values + begin, static_cast<size_t>(end - begin));
      });
}

// Cells of floats from cells of integers, or the other way.
void convert_cells(const std::byte* from, uint64_t count, bool to_floats, std::byte* to) {
  for (uint64_t i = 0; i < count; ++i, from += kCellSize, to += kCellSize) {
    if (to_floats) {
      store(to, static_cast<float>(load<int32_t>(from)));
    } else {
      store(to, truncate(DType::Int32, load<float>(from)));
    }
  }
}

// For each operation, the next constant tensor that an elementwise operation at or after it reads.
std::map<const mil::Op*, std::string> find_near_weights(const mil::Function& function) {
  std::map<const mil::Op*, std::string> near;
  std::string next;
  for (auto at = function.ops.rbegin(); at != function.ops.rend(); ++at) {
    const mil::Op& op = **at;
    if (op.type == "mul" || op.type == "add" || op.type == "sub" || op.type == "real_div") {
      for (const std::string_view param : {"x", "y"}) {
        const mil::Value* value = op.operand(param);
        if (value->is_constant() && !value->type.shape.empty()) next = value->name;
      }
    }
    near.emplace(&op, next);
  }
  return near;
}

}  // namespace

std::string to_string(const StepLabel& label) {
  return fmt::format("{} '{}'", label.op, label.value);
}

void Source::read(const Frame& frame, uint64_t first, uint64_t count, std::byte* cells) const {
  const std::byte* from = frame.bytes(place);
  if (packed) {
    widen(dtype, from + first * element_size(dtype), count, cells);
  } else {
    std::memcpy(cells, from + first * kCellSize, count * kCellSize);
  }
}

Result<Plan> Lowering::lower(const mil::Function& function, const ExecutableOptions& options) {
  Lowering lowering(function, options);
  lowering.plan_.function = function.name;
  TRY(within(function.name, lowering.lower_all()));
  TRY(within(function.name, lowering.place_arena()));
  return std::move(lowering.plan_);
}

Status Lowering::lower_all() {
  std::vector<std::string> problems;
  token_axes_ = TRY(TokenAxes::find(function_, options_.token_axes));
  plan_.tokens = token_axes_.tokens();
  padding_ = Padding::find(function_, token_axes_);
  for (const mil::Value* input : function_.inputs) {
    input_index_.emplace(input, plan_.inputs.size());
    plan_.inputs.push_back({input->name, port_type(*input), token_axes_.of(*input)});
    plan_.input_places.emplace_back();
    if (!has_cells(input->type.dtype)) {
      problems.push_back(fmt::format("input '{}': type {}", input->name, to_string(input->type)));
    }
  }
  near_weights_ = find_near_weights(function_);
  for (const auto& op : function_.ops) {
    const Kernel* kernel = find_kernel(op->type);
    if (kernel != nullptr && kernel->on_demand) continue;
    const Status status = lower_op(*op);
    if (status) continue;
    if (status.error().code != ErrorCode::Unsupported) return status;
    problems.push_back(status.error().to_string());
    // Give the results a place all the same, so that their users are not reported too.
    draft_ = {};
    for (const mil::Value* value : op->results) {
      cells_.emplace(value, add_place({}));
    }
  }
  for (const mil::Value* output : function_.outputs) {
    plan_.outputs.push_back({output->name, port_type(*output), token_axes_.of(*output)});
    const auto place = output_cells(*output);
    if (place) {
      plan_.output_places.push_back(*place);
    } else {
      problems.push_back(fmt::format("output '{}': {}", output->name, place.error().to_string()));
    }
  }
  if (problems.empty()) return {};
  return tl::unexpected(
      Error{ErrorCode::Unsupported,
            {},
            fmt::format("{} operations or types are not supported by the engine", problems.size()),
            std::move(problems)});
}

Status Lowering::lower_op(const mil::Op& op) {
  const Kernel* kernel = find_kernel(op.type);
  if (kernel == nullptr)
    return within(to_string(label(op)), Status(unsupported("unknown operation")));
  // An operation lowered on demand must not take over what its user has touched so far.
  Draft outer = std::exchange(draft_, {});
  Status status = kernel->lower(op, *this);
  draft_ = std::move(outer);
  return within([&] { return to_string(label(op)); }, std::move(status));
}

const mil::Value& Lowering::resolve(const mil::Value& value) const {
  const mil::Value* at = &value;
  for (auto next = aliases_.find(at); next != aliases_.end(); next = aliases_.find(at)) {
    at = next->second;
  }
  return *at;
}

Place Lowering::add_place(PlaceInfo info) {
  plan_.places.push_back(info);
  return static_cast<Place>(plan_.places.size() - 1);
}

TensorType Lowering::port_type(const mil::Value& value) const {
  const bool widened = options_.wide_ports && options_.numerics == Numerics::Precise &&
                       value.type.dtype == DType::F16;
  return widened ? TensorType{DType::F32, value.type.shape} : value.type;
}

Result<uint64_t> Lowering::cell_bytes(const TensorType& type) {
  if (!has_cells(type.dtype)) return unsupported("type {}", to_string(type));
  uint64_t bytes = 0;
  if (!checked_mul(TRY(element_count(type.shape)), kCellSize, &bytes) ||
      bytes > options_.memory_limit) {
    return unsupported("{} is beyond the memory limit of {} bytes", to_string(type),
                       options_.memory_limit);
  }
  return bytes;
}

Result<Place> Lowering::cells(const mil::Value& unresolved) {
  const mil::Value& value = resolve(unresolved);
  if (const auto known = cells_.find(&value); known != cells_.end()) {
    touch(known->second);
    return known->second;
  }
  if (value.is_constant()) {
    reads(value);
    return constant_cells(value);
  }
  if (value.kind == mil::Value::Kind::Input) return input_cells(value);
  TRY(lower_op(*value.producer));
  const auto made = cells_.find(&value);
  if (made == cells_.end()) return unsupported("%{}: type {}", value.name, to_string(value.type));
  touch(made->second);
  return made->second;
}

Result<Place> Lowering::cells_like(const mil::Value& unresolved, DType dtype) {
  const mil::Value& value = resolve(unresolved);
  const bool floats = is_float(dtype);
  if (is_float(value.type.dtype) == floats) return cells(value);
  const uint64_t bytes = TRY(cell_bytes(value.type)), count = bytes / kCellSize;
  const char* const what = floats ? "to floats" : "to integers";
  if (value.is_constant()) {
    const auto [known, is_new] = derived_.try_emplace({&value, what});
    if (is_new) {
      TRY(take_constant_bytes(bytes));
      const Place from = TRY(cells(value));
      std::vector<uint32_t> made(count);
      convert_cells(plan_.places[static_cast<size_t>(from)].constant, count, floats,
                    reinterpret_cast<std::byte*>(made.data()));
      known->second = constant_place(std::move(made));
    }
    return known->second;
  }
  return derived(value, what, bytes, [&](Place to) -> Result<Runs> {
    const Place from = TRY(cells(value));
    return Runs([=](const Frame& frame) -> Status {
      convert_cells(frame.bytes(from), count, floats, frame.bytes(to));
      return {};
    });
  });
}

Result<Source> Lowering::source(const mil::Value& unresolved, int64_t rows) {
  const mil::Value& value = resolve(unresolved);
  const DType dtype = value.type.dtype;
  if (has_cells(dtype) && cells_.count(&value) == 0) {
    if (value.kind == mil::Value::Kind::Input) {
      return Source{input_place(value), port_type(value).dtype, true};
    }
    if (value.is_constant() && value.weight->bytes()) {
      auto known = packed_.find(&value);
      if (known == packed_.end()) {
        PlaceInfo info;
        info.kind = PlaceInfo::Kind::Constant;
        info.constant = value.weight->bytes()->data();
        plan_.owners.push_back(value.weight);
        known = packed_.emplace(&value, add_place(info)).first;
      }
      reads(value, rows);
      return Source{known->second, dtype, true};
    }
  }
  return Source{TRY(cells(value)), dtype, false};
}

std::optional<WeightRows> Lowering::weight_rows(const mil::Value& unresolved, int64_t rows) {
  const mil::Value& value = resolve(unresolved);
  if (!options_.weights_by_rows && !value.is_constant()) return std::nullopt;
  auto opened = WeightRows::open(value, options_.numerics);
  if (opened) reads(value, rows);
  return opened;
}

Status Lowering::take_constant_bytes(uint64_t bytes) {
  constant_bytes_ += bytes;  // both are at most the limit
  if (constant_bytes_ <= options_.memory_limit) return {};
  return unsupported("constants are beyond the memory limit of {} bytes", options_.memory_limit);
}

Place Lowering::constant_place(std::vector<uint32_t> cells) {
  const auto made = std::make_shared<const std::vector<uint32_t>>(std::move(cells));
  PlaceInfo info;
  info.kind = PlaceInfo::Kind::Constant;
  info.constant = reinterpret_cast<const std::byte*>(made->data());
  plan_.owners.push_back(made);
  return add_place(info);
}

Result<Place> Lowering::constant_cells(const mil::Value& value) {
  const uint64_t bytes = TRY(cell_bytes(value.type));
  const WeightRef& weight = value.weight;
  if (const auto known = constants_.find(weight.get()); known != constants_.end()) {
    return known->second;
  }
  TRY(take_constant_bytes(bytes));
  std::vector<uint32_t> made(bytes / kCellSize);
  auto* out = reinterpret_cast<std::byte*>(made.data());
  const uint64_t row_bytes = std::max<uint64_t>(weight->row_bytes(), 1);
  const auto some_rows = static_cast<int64_t>(std::max<uint64_t>(kReadSize / row_bytes, 1));
  std::vector<std::byte> buffer;
  for (int64_t row = 0; row < weight->rows(); row += some_rows) {
    const int64_t count = std::min(some_rows, weight->rows() - row);
    buffer.resize(static_cast<uint64_t>(count) * weight->row_bytes());
    TRY(within(value.name, weight->read_rows(row, count, buffer)));
    const uint64_t elements = static_cast<uint64_t>(count) * weight->row_elements();
    widen(value.type.dtype, buffer.data(), elements, out);
    out += elements * kCellSize;
  }
  plan_.owners.push_back(weight);  // so that its address stays its own
  return constants_.emplace(weight.get(), constant_place(std::move(made))).first->second;
}

Result<std::vector<float>> Lowering::unpacked(const mil::Value& value) {
  uint64_t overflows = 0;
  auto elements =
      TRY(engine::unpack(value, {options_.numerics, options_.memory_limit}, &overflows));
  if (overflows > 0) {
    const mil::Op& op = *value.producer;
    Draft outer = std::exchange(draft_, {});
    append({label(op), near_weights_[&op], Runs([overflows](const Frame& frame) -> Status {
              frame.overflows += overflows;
              return {};
            })});
    draft_ = std::move(outer);
  }
  return elements;
}

Status Lowering::unpack(const mil::Value& result) {
  TRY(take_constant_bytes(TRY(cell_bytes(result.type))));
  const std::vector<float> elements = TRY(unpacked(result));
  std::vector<uint32_t> cells(elements.size());
  const bool floats = is_float(result.type.dtype);
  std::transform(elements.begin(), elements.end(), cells.begin(), [&](float element) {
    return floats ? std::bit_cast<uint32_t>(element)
                  : static_cast<uint32_t>(static_cast<int32_t>(element));
  });
  plan_.unpacked_bytes += cells.size() * kCellSize;
  cells_.insert_or_assign(&result, constant_place(std::move(cells)));
  return {};
}

Result<std::optional<LookedUp::Rows>> Lowering::looked_up(const Palette& palette) {
  if (kernels::looks_up_in_place(kernels::selected_isa(), palette.bits())) return std::nullopt;
  const auto bytes = static_cast<uint64_t>(palette.weight().rows * palette.weight().columns);
  if (constant_bytes_ + bytes > options_.memory_limit) return std::nullopt;
  if (!options_.looked_up) options_.looked_up = std::make_shared<LookedUp>();
  auto rows = TRY(options_.looked_up->rows(palette));
  if (!rows) return std::nullopt;
  TRY(take_constant_bytes(bytes));
  plan_.unpacked_bytes += bytes;
  return rows;
}

Place Lowering::input_place(const mil::Value& value) {
  if (const auto known = packed_.find(&value); known != packed_.end()) return known->second;
  PlaceInfo info;
  info.kind = PlaceInfo::Kind::Input;
  const Place place = packed_.emplace(&value, add_place(info)).first->second;
  plan_.input_places[input_index_.at(&value)].push_back(place);
  return place;
}

Result<Place> Lowering::input_cells(const mil::Value& value) {
  PlaceInfo info;
  info.kind = PlaceInfo::Kind::InputCells;
  info.size = TRY(cell_bytes(value.type));
  const Place packed = input_place(value);
  const Place cells = cells_.emplace(&value, add_place(info)).first->second;
  plan_.input_places[input_index_.at(&value)].push_back(cells);

  const DType dtype = port_type(value).dtype;
  const uint64_t count = info.size / kCellSize;
  Draft outer = std::exchange(draft_, {});
  touch(cells);
  append({{"input", value.name}, {}, [=](const Frame& frame) -> Status {
            // Both are the caller's memory when it holds aligned cells.
            if (frame.bytes(cells) != frame.bytes(packed)) {
              widen(dtype, frame.bytes(packed), count, frame.bytes(cells));
            }
            return {};
          }});
  draft_ = std::move(outer);
  touch(cells);
  return cells;
}

Result<Place> Lowering::output_cells(const mil::Value& value) {
  draft_ = {};
  const Source source = TRY(this->source(value));
  Place place = source.place;
  if (source.packed ||
      plan_.places[static_cast<size_t>(place)].kind == PlaceInfo::Kind::InputCells) {
    // Outputs may lie over inputs, so an input that is passed through needs a copy.
    const uint64_t count = TRY(cell_bytes(value.type)) / kCellSize;
    place = TRY(scratch(count));
    append({{"output", value.name}, {}, [=](const Frame& frame) -> Status {
              source.read(frame, 0, count, frame.bytes(place));
              return {};
            }});
  }
  // Outputs are read after the last step.
  if (const auto lifetime = lifetimes_.find(place); lifetime != lifetimes_.end()) {
    lifetime->second.last = SIZE_MAX;
  }
  return place;
}

Result<Place> Lowering::result(const mil::Value& value) {
  PlaceInfo info;
  info.size = TRY(cell_bytes(value.type));
  const Place place = add_place(info);
  cells_.insert_or_assign(&value, place);
  touch(place);
  return place;
}

Result<Place> Lowering::scratch(uint64_t count) {
  PlaceInfo info;
  info.size = count * kCellSize;
  const Place place = add_place(info);
  touch(place);
  return place;
}

void Lowering::thread_scratch(uint64_t bytes) {
  plan_.thread_scratch_size = std::max(plan_.thread_scratch_size, align_up(bytes, kArenaAlignment));
}

void Lowering::alias(const mil::Value& result, const mil::Value& of) {
  aliases_.emplace(&result, &resolve(of));
}

Result<Place> Lowering::derived(const mil::Value& unresolved, std::string_view what, uint64_t size,
                                const std::function<Result<Runs>(Place)>& make) {
  const mil::Value& value = resolve(unresolved);
  const auto key = std::pair(&value, std::string(what));
  auto known = derived_.find(key);
  if (known == derived_.end()) {
    Draft outer = std::exchange(draft_, {});
    PlaceInfo info;
    info.size = size;
    const Place place = add_place(info);
    Runs run = TRY(make(place));
    touch(place);
    append({{std::string(what), value.name}, {}, std::move(run)});
    draft_ = std::move(outer);
    known = derived_.emplace(key, place).first;
  }
  touch(known->second);
  return known->second;
}

Result<Place> Lowering::precomputed(const std::vector<const mil::Value*>& sources,
                                    std::string_view what, uint64_t count, const Compute& compute) {
  const mil::Value& first = resolve(*sources.front());
  const uint64_t bytes = count * kCellSize;
  const bool constant = std::all_of(sources.begin(), sources.end(), [&](const mil::Value* source) {
    return resolve(*source).is_constant() || mil::is_constant_expression(resolve(*source));
  });
  if (!constant) {
    return derived(first, what, bytes, [&](Place to) -> Result<Runs> {
      std::vector<Place> places;
      for (const mil::Value* source : sources) {
        places.push_back(TRY(cells_like(*source, DType::F32)));
      }
      return Runs([=](const Frame& frame) -> Status {
        std::vector<const float*> from;
        for (const Place place : places) from.push_back(frame.floats(place));
        compute(from, frame.floats(to));
        return {};
      });
    });
  }
  const auto [known, is_new] = derived_.try_emplace({&first, std::string(what)});
  if (is_new) {
    TRY(take_constant_bytes(bytes));
    std::vector<std::vector<float>> elements;
    std::vector<const float*> from;
    for (const mil::Value* source : sources) {
      elements.push_back(TRY(unpacked(resolve(*source))));
      from.push_back(elements.back().data());
    }
    std::vector<uint32_t> cells(count);
    compute(from, reinterpret_cast<float*>(cells.data()));
    known->second = constant_place(std::move(cells));
    if (!first.is_constant() || !is_float(first.type.dtype)) plan_.unpacked_bytes += bytes;
  }
  for (const mil::Value* source : sources) {
    if (resolve(*source).is_constant()) reads(resolve(*source));
  }
  return known->second;
}

void Lowering::keep(const WeightRef& weight) {
  plan_.owners.push_back(weight);
  reads(weight, kAllRows);
}

void Lowering::reads(const mil::Value& value, int64_t rows) {
  if (!value.is_constant()) {
    if (value.producer == nullptr) return;
    for (const mil::Operand& operand : value.producer->operands) {
      for (const mil::Value* source : operand.values) reads(*source, rows);
    }
    return;
  }
  if (value.weight != nullptr) reads(value.weight, rows);
}

void Lowering::reads(const WeightRef& weight, int64_t rows) {
  if (weight->shape().empty()) return;
  const uint64_t size = packed_size(weight->type()).value_or(0);
  const auto all = static_cast<uint64_t>(weight->rows()), wanted = static_cast<uint64_t>(rows);
  const auto bytes = weight->bytes();
  const void* place = bytes ? static_cast<const void*>(bytes->data()) : weight.get();
  draft_.weights.push_back({place, wanted < all ? (size * wanted + all - 1) / all : size});
}

void Lowering::emit(const mil::Op& op, Runs run, StepRows rows,
                    const kernels::ByArithmetic<uint64_t>& row_multiply_adds) {
  if (find_kernel(op.type)->computes && options_.numerics == Numerics::Typed) {
    for (const mil::Value* result : op.results) {
      if (result->type.dtype != DType::F16) continue;
      const Place place = cells_.at(result);
      const uint64_t count = plan_.places[static_cast<size_t>(place)].size / kCellSize;
      run = Runs([compute = std::move(run.alone), place, count](const Frame& frame) -> Status {
        TRY(compute(frame));
        round_cells(frame, place, count);
        return {};
      });
    }
  }
  layer_ = layer_of(op).value_or(layer_);
  append({label(op), near_weights_[&op], std::move(run), {layer_, rows, row_multiply_adds, {}}});
}

void Lowering::append(Step step) {
  const size_t index = plan_.steps.size();
  step.work.layer = layer_;
  step.work.weights = std::move(draft_.weights);
  plan_.steps.push_back(std::move(step));
  for (const Place place : draft_.places) {
    lifetimes_.try_emplace(place, Lifetime{index, index}).first->second.last = index;
  }
  draft_ = {};
}

// Walks the steps, giving places memory when they are first used and taking it back after the last
// use.
Status Lowering::place_arena() {
  std::vector<std::vector<Place>> starting(plan_.steps.size()), ending(plan_.steps.size());
  for (const auto& [place, lifetime] : lifetimes_) {
    const PlaceInfo::Kind kind = plan_.places[static_cast<size_t>(place)].kind;
    if (kind != PlaceInfo::Kind::Arena && kind != PlaceInfo::Kind::InputCells) continue;
    starting[lifetime.first].push_back(place);
    if (lifetime.last < ending.size()) ending[lifetime.last].push_back(place);
  }
  ArenaPlanner arena(options_.memory_limit);
  for (size_t step = 0; step < plan_.steps.size(); ++step) {
    for (const Place place : starting[step]) {
      PlaceInfo& info = plan_.places[static_cast<size_t>(place)];
      info.offset = TRY(
          within([&] { return to_string(plan_.steps[step].label); }, arena.allocate(info.size)));
    }
    for (const Place place : ending[step]) {
      const PlaceInfo& info = plan_.places[static_cast<size_t>(place)];
      arena.release(info.offset, info.size);
    }
  }
  plan_.arena_size = arena.block_size();
  return {};
}

}  // namespace diptych::engine
