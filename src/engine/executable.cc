#include "engine/executable.h"

#include <new>

#include "base/clock.h"
#include "engine/fuse/fuse.h"
#include "engine/joint_frame.h"
#include "engine/lowering.h"
#include "engine/plan.h"
#include "kernels/isa.h"
#include "mil/verify.h"

namespace diptych::engine {
namespace {

constexpr std::align_val_t kAligned{kArenaAlignment};

// Elements of an output worth a thread of their own.
constexpr int64_t kNarrowGrain = 1 << 14;

struct ArenaDeleter {
  void operator()(std::byte* memory) const { ::operator delete[](memory, kAligned); }
};
using Arena = std::unique_ptr<std::byte[], ArenaDeleter>;

Result<Arena> allocate(uint64_t size, const Plan& plan) {
  Arena arena(static_cast<std::byte*>(::operator new[](size, kAligned, std::nothrow)));
  if (arena != nullptr) return arena;
  return fail(ErrorCode::Io, "out of memory: {} bytes asked for the intermediate values of '{}'",
              size, plan.function);
}

}  // namespace

Result<std::shared_ptr<const Executable>> Executable::compile(const mil::Function& function,
                                                              const ExecutableOptions& options) {
  if (!options.verified) TRY(mil::verify(function, /*allow_unknown=*/true));
  const bool fuse = options.fuse && options.numerics != Numerics::Typed;
  if (!fuse && !options.wide_means) return compile_as_it_is(function, options);
  const auto rewritten = mil::clone(function);
  if (options.wide_means) TRY(widen_means(*rewritten));
  if (fuse) TRY(fuse_for_cpu(*rewritten));
  return compile_as_it_is(*rewritten, options);
}

Result<std::shared_ptr<const Executable>> Executable::compile_as_it_is(
    const mil::Function& function, const ExecutableOptions& options) {
  kernels::selected_isa();  // before anything is computed by another
  auto plan = std::make_unique<Plan>(TRY(Lowering::lower(function, options)));
  return std::make_shared<const Executable>(std::move(plan));
}

Executable::Executable(std::unique_ptr<const Plan> plan) : plan_(std::move(plan)) {}
Executable::~Executable() = default;

const std::string& Executable::name() const { return plan_->function; }
const std::vector<Port>& Executable::inputs() const { return plan_->inputs; }
const std::vector<Port>& Executable::outputs() const { return plan_->outputs; }
size_t Executable::step_count() const { return plan_->steps.size(); }
int64_t Executable::tokens() const { return plan_->tokens; }
uint64_t Executable::arena_size() const { return plan_->arena_size; }
uint64_t Executable::unpacked_bytes() const { return plan_->unpacked_bytes; }

StepInfo Executable::step(size_t index) const {
  const Step& step = plan_->steps[index];
  return {step.label.op, step.label.value, step.work};
}

namespace {

// Tells an observer, if there is one, what passed between two of its calls.
class Observed {
 public:
  Observed(RunObserver* observer, const Executable& executable)
      : observer_(observer), executable_(executable) {
    if (observer_ != nullptr) begin_ = Clock::now();
  }
  void step(size_t index) {
    if (observer_ == nullptr) return;
    observer_->on_step(executable_, index, begin_, Clock::now());
    begin_ = Clock::now();
  }

 private:
  RunObserver* observer_;
  const Executable& executable_;
  RunObserver::Time begin_;
};

}  // namespace

struct Execution::Memory {
  Arena arena;
  // Of the threads of the largest pool that has run this.
  Arena scratch;
  int scratch_threads = 0;
  std::vector<std::byte*> addresses;  // by Place; null while an input is not bound
  std::vector<std::byte*> outputs;
};

Execution::Execution(std::shared_ptr<const Executable> executable)
    : executable_(std::move(executable)), memory_(std::make_unique<Memory>()) {}
Execution::~Execution() = default;

Result<std::unique_ptr<Execution>> Execution::create(std::shared_ptr<const Executable> executable) {
  std::unique_ptr<Execution> execution(new Execution(std::move(executable)));
  const Plan& plan = *execution->executable_->plan_;
  Memory& memory = *execution->memory_;
  memory.arena = TRY(allocate(plan.arena_size, plan));
  for (const PlaceInfo& place : plan.places) {
    std::byte* address = nullptr;
    if (place.kind == PlaceInfo::Kind::Arena) address = memory.arena.get() + place.offset;
    // Steps only read from constant places.
    if (place.kind == PlaceInfo::Kind::Constant) address = const_cast<std::byte*>(place.constant);
    memory.addresses.push_back(address);
  }
  memory.outputs.resize(plan.outputs.size());
  return execution;
}

namespace {

Status check_binding(std::string_view kind, const std::vector<Port>& ports, size_t index,
                     const void* data, const TensorType& type) {
  if (index >= ports.size()) {
    return invalid_argument("{} {} does not exist: there are {}", kind, index, ports.size());
  }
  if (ports[index].type != type) {
    return invalid_argument("{} '{}': expected {}, got {}", kind, ports[index].name,
                            to_string(ports[index].type), to_string(type));
  }
  if (data == nullptr) return invalid_argument("{} '{}': no buffer", kind, ports[index].name);
  return {};
}

}  // namespace

Status Execution::bind_input(size_t index, const void* data, const TensorType& type) {
  const Plan& plan = *executable_->plan_;
  TRY(within(plan.function, check_binding("input", plan.inputs, index, data, type)));
  // Steps only read from inputs.
  auto* address = static_cast<std::byte*>(const_cast<void*>(data));
  const bool cells = is_cell(type.dtype) && reinterpret_cast<uintptr_t>(address) % kCellSize == 0;
  for (const Place place : plan.input_places[index]) {
    const PlaceInfo& info = plan.places[static_cast<size_t>(place)];
    const bool in_place = info.kind == PlaceInfo::Kind::Input || cells;
    memory_->addresses[static_cast<size_t>(place)] =
        in_place ? address : memory_->arena.get() + info.offset;
  }
  return {};
}

Status Execution::bind_output(size_t index, void* data, const TensorType& type) {
  const Plan& plan = *executable_->plan_;
  TRY(within(plan.function, check_binding("output", plan.outputs, index, data, type)));
  memory_->outputs[index] = static_cast<std::byte*>(data);
  return {};
}

void Execution::note_overflows(std::atomic<uint64_t>& count, const Step& step) {
  if (const uint64_t overflown = count.exchange(0); overflown > 0) {
    overflows_ += {overflown, to_string(step.label), step.near_weight};
  }
}

Status Execution::prepare(int threads) {
  const Plan& plan = *executable_->plan_;
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    for (const Place place : plan.input_places[i]) {
      if (memory_->addresses[static_cast<size_t>(place)] != nullptr) continue;
      return invalid_argument("{}: input '{}' is not bound", plan.function, plan.inputs[i].name);
    }
  }
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    if (memory_->outputs[i] == nullptr) {
      return invalid_argument("{}: output '{}' is not bound", plan.function, plan.outputs[i].name);
    }
  }
  if (memory_->scratch_threads < threads) {
    const auto count = static_cast<uint64_t>(threads);
    memory_->scratch = TRY(allocate(count * plan.thread_scratch_size, plan));
    memory_->scratch_threads = threads;
  }
  return {};
}

Frame Execution::frame(ThreadPool& pool, std::atomic<uint64_t>& overflows) {
  return {memory_->addresses,
          pool,
          memory_->scratch.get(),
          executable_->plan_->thread_scratch_size,
          overflows,
          live_tokens_};
}

namespace {

// Elements of an output without its padding: `count` times `length`, `distance` apart.
struct Stretches {
  int64_t count = 1, length = 1, distance = 1;
};
Stretches without_padding(const Port& port, int64_t live_tokens) {
  Stretches live;
  for (size_t axis = 0; axis < port.type.shape.size(); ++axis) {
    const int64_t size = port.type.shape[axis];
    if (axis == port.token_axis && live_tokens < size) {
      live = {live.length, live_tokens, size};
    } else {
      live.length *= size;
      live.distance *= size;
    }
  }
  return live;
}

}  // namespace

Status Execution::write_outputs(ThreadPool& pool, std::atomic<uint64_t>& overflows) {
  const Plan& plan = *executable_->plan_;
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    const Port& port = plan.outputs[i];
    const std::byte* cells = memory_->addresses[static_cast<size_t>(plan.output_places[i])];
    const auto width = static_cast<int64_t>(element_size(port.type.dtype));
    const Stretches live = without_padding(port, live_tokens_);
    const int64_t grain = std::max<int64_t>(kNarrowGrain / live.length, 1);
    const auto write = [&](int64_t first, int64_t count) {
      overflows += narrow(port.type.dtype, cells + first * kCellSize, static_cast<uint64_t>(count),
                          memory_->outputs[i] + first * width);
    };
    if (live.count == 1) {
      pool.parallel_for(live.length, kNarrowGrain,
                        [&](int64_t begin, int64_t end) { write(begin, end - begin); });
    } else {
      pool.parallel_for(live.count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; ++at) write(at * live.distance, live.length);
      });
    }
    if (const uint64_t overflown = overflows.exchange(0); overflown > 0) {
      overflows_ += {overflown, fmt::format("output '{}'", port.name), ""};
    }
  }
  return {};
}

namespace {

Status in_step(const Plan& plan, const Step& step, Status status) {
  if (status) return status;
  return tl::unexpected(
      std::move(status.error()).within(plan.function + ": " + to_string(step.label)));
}

}  // namespace

Status Execution::run(ThreadPool& pool, RunObserver* observer) {
  TRY(prepare(pool.threads()));
  const Plan& plan = *executable_->plan_;
  std::atomic<uint64_t> overflows{0};
  const Frame frame = this->frame(pool, overflows);
  Observed observed(observer, *executable_);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    TRY(in_step(plan, step, step.run.alone(frame)));
    note_overflows(overflows, step);
    observed.step(i);
  }
  TRY(write_outputs(pool, overflows));
  observed.step(plan.steps.size());
  return {};
}

Status Execution::run_together(std::span<Execution* const> executions, ThreadPool& pool,
                               JointMemory& memory, RunObserver* observer) {
  if (executions.empty()) return {};
  if (executions.size() == 1) return executions.front()->run(pool, observer);
  const Executable& executable = executions.front()->executable();
  const Plan& plan = *executable.plan_;
  ThreadPool own_thread(1);  // does all in the calling thread
  std::vector<std::atomic<uint64_t>> overflows(executions.size());
  std::vector<Frame> frames;
  frames.reserve(executions.size());
  for (size_t i = 0; i < executions.size(); ++i) {
    if (&executions[i]->executable() != &executable) {
      return invalid_argument("{} and {} are no executions of one function", plan.function,
                              executions[i]->executable().name());
    }
    TRY(executions[i]->prepare(pool.threads()));
    frames.push_back(executions[i]->frame(own_thread, overflows[i]));
  }
  const JointFrame joint{frames, pool, memory};
  const auto each = [&](const auto& body) {
    return parallel_status(pool, std::ssize(executions), 1,
                           [&](int64_t begin, int64_t end, int /*thread*/) -> Status {
                             for (int64_t i = begin; i < end; ++i) {
                               TRY(body(static_cast<size_t>(i)));
                             }
                             return {};
                           });
  };
  Observed observed(observer, executable);
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const Step& step = plan.steps[s];
    TRY(in_step(plan, step, step.run.together ? step.run.together(joint) : each([&](size_t i) {
                  return step.run.alone(frames[i]);
                })));
    for (size_t i = 0; i < executions.size(); ++i) {
      executions[i]->note_overflows(overflows[i], step);
    }
    observed.step(s);
  }
  TRY(each([&](size_t i) { return executions[i]->write_outputs(own_thread, overflows[i]); }));
  observed.step(plan.steps.size());
  return {};
}

}  // namespace diptych::engine
