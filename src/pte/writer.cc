#include "pte/writer.h"

#include <map>

#include "program_generated.h"
#include "pte/check.h"
#include "pte/header.h"

namespace diptych::pte {

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using flatbuffers::Vector;

// Decides where the bytes behind the tables go; offsets count from the segment base.
class SegmentPlan {
 public:
  struct Segment {
    uint64_t offset = 0, size = 0;
  };
  struct Piece {
    uint64_t offset = 0;
    Blob blob;
  };

  uint32_t add(const Blob& blob) {
    const uint64_t start = align_up(size(), kSegmentAlignment);
    pieces_.push_back({start, blob});
    segments_.push_back({start, blob.size()});
    return static_cast<uint32_t>(segments_.size() - 1);
  }

  // One segment of padded entries; `offsets` receives their places in it.
  uint32_t add_entries(const std::vector<Blob>& entries, uint64_t alignment,
                       std::vector<uint64_t>& offsets) {
    const uint64_t start = align_up(size(), kSegmentAlignment);
    uint64_t end = 0;
    for (const Blob& entry : entries) {
      offsets.push_back(align_up(end, alignment));
      pieces_.push_back({start + offsets.back(), entry});
      end = offsets.back() + entry.size();
    }
    segments_.push_back({start, end});
    return static_cast<uint32_t>(segments_.size() - 1);
  }

  uint64_t size() const {
    return segments_.empty() ? 0 : segments_.back().offset + segments_.back().size;
  }
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  std::vector<Segment> segments_;
  std::vector<Piece> pieces_;  // in file order
};

// Where everything of a program goes.
struct Plan {
  SegmentPlan segments;
  uint32_t constant_segment = 0, state_segment = 0;
  std::vector<uint64_t> constant_offsets;
  std::vector<uint64_t> state_offsets;       // empty: there are no initial states
  std::map<Blob, uint32_t> payload_segment;  // of delegates; empty payloads stay inline
  std::map<Blob, uint32_t> data_segment;     // of named data
};

Plan plan_segments(const Program& program) {
  Plan plan;
  plan.constant_segment =
      plan.segments.add_entries(program.constants, kConstantAlignment, plan.constant_offsets);
  if (program.initial_states.size() > 1) {
    plan.state_segment = plan.segments.add_entries(program.initial_states, 1, plan.state_offsets);
  }
  const auto add = [&](std::map<Blob, uint32_t>& known, const Blob& blob) {
    if (!known.contains(blob)) known.emplace(blob, plan.segments.add(blob));
  };
  for (const Method& method : program.methods) {
    for (const Delegate& delegate : method.delegates) {
      if (delegate.processed.size() > 0) add(plan.payload_segment, delegate.processed);
    }
  }
  for (const NamedData& entry : program.named_data) add(plan.data_segment, entry.data);
  return plan;
}

// Builds the tables. FlatBuffers grow from the back, so parts come before what refers to them.
class TableWriter {
 public:
  TableWriter(const Program& program, const Plan& plan) : program_(program), plan_(plan) {}

  // The finished FlatBuffer, without extended header.
  Bytes write() {
    const auto methods = each(program_.methods, [&](const Method& m) { return method(m); });
    const std::vector<Offset<fb::BackendDelegateInlineData>> empty_payloads(
        inline_payloads_, fb::CreateBackendDelegateInlineDataDirect(builder_));
    const auto inline_data = builder_.CreateVector(empty_payloads);
    const auto buffers = builder_.CreateVector(std::vector<Offset<fb::Buffer>>());
    const auto segments = each(plan_.segments.segments(), [&](const SegmentPlan::Segment& s) {
      return fb::CreateDataSegment(builder_, s.offset, s.size);
    });
    const auto constants = fb::CreateSubsegmentOffsetsDirect(builder_, plan_.constant_segment,
                                                             &plan_.constant_offsets);
    Offset<Vector<Offset<fb::SubsegmentOffsets>>> states;
    if (!plan_.state_offsets.empty()) {
      states = builder_.CreateVector(std::vector{
          fb::CreateSubsegmentOffsetsDirect(builder_, plan_.state_segment, &plan_.state_offsets)});
    }
    Offset<Vector<Offset<fb::NamedData>>> named_data;
    if (!program_.named_data.empty()) {
      named_data = each(program_.named_data, [&](const NamedData& entry) {
        const auto key = builder_.CreateString(entry.key);
        return fb::CreateNamedData(builder_, key, plan_.data_segment.at(entry.data));
      });
    }
    builder_.Finish(fb::CreateProgram(builder_, /*version=*/0, methods, buffers, inline_data,
                                      segments, constants, states, named_data),
                    fb::ProgramIdentifier());
    return {reinterpret_cast<const std::byte*>(builder_.GetBufferPointer()), builder_.GetSize()};
  }

 private:
  // The vector of what `convert` makes of the items.
  template <class Item, class Convert>
  Offset<Vector<std::invoke_result_t<Convert, const Item&>>> each(const std::vector<Item>& items,
                                                                  Convert convert) {
    std::vector<std::invoke_result_t<Convert, const Item&>> offsets;
    offsets.reserve(items.size());
    for (const Item& item : items) offsets.push_back(convert(item));
    return builder_.CreateVector(offsets);
  }

  Offset<fb::ExecutionPlan> method(const Method& method) {
    const auto name = builder_.CreateString(method.name);
    const auto input_spec = builder_.CreateString(method.input_spec);
    const auto output_spec = builder_.CreateString(method.output_spec);
    const auto specs = fb::CreateContainerMetadata(builder_, input_spec, output_spec);
    const auto values = each(method.values, [&](const EValue& v) { return value(v); });
    const auto inputs = builder_.CreateVector(method.inputs);
    const auto outputs = builder_.CreateVector(method.outputs);
    const auto chains = builder_.CreateVector(std::vector{chain(method)});
    const auto operators = each(method.operators, [&](const Operator& op) {
      const auto op_name = builder_.CreateString(op.name);
      return fb::CreateOperator(builder_, op_name, builder_.CreateString(op.overload));
    });
    const auto delegates = each(method.delegates, [&](const Delegate& d) { return delegate(d); });
    const auto arenas = builder_.CreateVector(method.arena_sizes);
    Offset<Vector<Offset<fb::NonConstBufferDevice>>> devices;
    if (!method.arena_devices.empty()) {
      devices = each(method.arena_devices, [&](const ArenaDevice& d) {
        return fb::CreateNonConstBufferDevice(builder_, d.arena, static_cast<int8_t>(d.device),
                                              d.device_index);
      });
    }
    return fb::CreateExecutionPlan(builder_, name, specs, values, inputs, outputs, chains,
                                   operators, delegates, arenas, devices);
  }

  Offset<fb::Chain> chain(const Method& method) {
    const auto none = builder_.CreateVector(std::vector<int32_t>());
    const auto instructions = each(method.instructions, [&](const Instruction& instruction) {
      return std::visit([&](const auto& call) { return this->instruction(call); }, instruction);
    });
    return fb::CreateChain(builder_, none, none, instructions);
  }

  template <class Table>
  Offset<fb::Instruction> instruction(Offset<Table> arguments) {
    constexpr auto kKind = fb::InstructionArgumentsTraits<Table>::enum_value;
    return fb::CreateInstruction(builder_, kKind, arguments.Union());
  }
  Offset<fb::Instruction> instruction(const KernelCall& call) {
    return instruction(fb::CreateKernelCallDirect(builder_, call.op, &call.args));
  }
  Offset<fb::Instruction> instruction(const DelegateCall& call) {
    return instruction(fb::CreateDelegateCallDirect(builder_, call.delegate, &call.args));
  }
  Offset<fb::Instruction> instruction(const MoveCall& call) {
    return instruction(fb::CreateMoveCall(builder_, call.from, call.to));
  }
  Offset<fb::Instruction> instruction(const JumpFalseCall& call) {
    return instruction(fb::CreateJumpFalseCall(builder_, call.condition, call.destination));
  }
  Offset<fb::Instruction> instruction(const FreeCall& call) {
    return instruction(fb::CreateFreeCall(builder_, call.value));
  }

  Offset<fb::BackendDelegate> delegate(const Delegate& delegate) {
    enum Location : int8_t { kInline, kSegment };
    const auto id = builder_.CreateString(delegate.backend);
    const bool is_inline = delegate.processed.size() == 0;
    const uint32_t index =
        is_inline ? inline_payloads_++ : plan_.payload_segment.at(delegate.processed);
    const auto processed =
        fb::CreateBackendDelegateDataReference(builder_, is_inline ? kInline : kSegment, index);
    const auto specs = each(delegate.compile_specs, [&](const CompileSpec& spec) {
      const auto key = builder_.CreateString(spec.key);
      const auto value = builder_.CreateVector(reinterpret_cast<const uint8_t*>(spec.value.data()),
                                               spec.value.size());
      return fb::CreateCompileSpec(builder_, key, value);
    });
    return fb::CreateBackendDelegate(builder_, id, processed, specs);
  }

  Offset<fb::EValue> value(const EValue& value) {
    return std::visit([&](const auto& v) { return wrap(content(v)); }, value);
  }
  template <class Table>
  Offset<fb::EValue> wrap(Offset<Table> table) {
    return fb::CreateEValue(builder_, fb::KernelTypesTraits<Table>::enum_value, table.Union());
  }
  Offset<fb::Null> content(None) { return fb::CreateNull(builder_); }
  Offset<fb::Int> content(int64_t value) { return fb::CreateInt(builder_, value); }
  Offset<fb::Bool> content(bool value) { return fb::CreateBool(builder_, value); }
  Offset<fb::Double> content(double value) { return fb::CreateDouble(builder_, value); }
  Offset<fb::String> content(const std::string& text) {
    return fb::CreateString(builder_, builder_.CreateString(text));
  }
  Offset<fb::IntList> content(const IntList& list) {
    return fb::CreateIntList(builder_, builder_.CreateVector(list.items));
  }
  Offset<fb::DoubleList> content(const DoubleList& list) {
    return fb::CreateDoubleList(builder_, builder_.CreateVector(list.items));
  }
  Offset<fb::BoolList> content(const BoolList& list) {
    return fb::CreateBoolList(builder_, builder_.CreateVector(list.items));
  }
  Offset<fb::TensorList> content(const TensorList& list) {
    return fb::CreateTensorList(builder_, builder_.CreateVector(list.items));
  }
  Offset<fb::OptionalTensorList> content(const OptionalTensorList& list) {
    return fb::CreateOptionalTensorList(builder_, builder_.CreateVector(list.items));
  }
  Offset<fb::Tensor> content(const Tensor& tensor) {
    const auto sizes =
        builder_.CreateVector(std::vector<int32_t>(tensor.sizes.begin(), tensor.sizes.end()));
    const auto dim_order = builder_.CreateVector(tensor.dim_order);
    Offset<fb::AllocationDetails> allocation;
    if (tensor.allocation) {
      allocation = fb::CreateAllocationDetails(
          builder_, tensor.allocation->memory_id, static_cast<uint32_t>(tensor.allocation->offset),
          static_cast<uint32_t>(tensor.allocation->offset >> 32));
    }
    Offset<fb::ExtraTensorInfo> extra;
    if (tensor.extra) {
      const auto qualified_name = builder_.CreateString(tensor.extra->qualified_name);
      extra = fb::CreateExtraTensorInfo(builder_, /*mutable_data_segments_idx=*/0, qualified_name,
                                        static_cast<int8_t>(tensor.extra->location),
                                        static_cast<int8_t>(tensor.extra->device),
                                        tensor.extra->device_index);
    }
    return fb::CreateTensor(builder_, static_cast<int8_t>(tensor.scalar_type),
                            /*storage_offset=*/0, sizes, dim_order, /*requires_grad=*/false,
                            tensor.data, allocation, /*layout=*/0,
                            static_cast<int8_t>(tensor.dynamism), extra);
  }

  const Program& program_;
  const Plan& plan_;
  FlatBufferBuilder builder_;
  uint32_t inline_payloads_ = 0;
};

// The tables with the extended header in them. Inserting 32 bytes behind the identifier keeps every
// alignment and every relative offset but the root's.
std::vector<std::byte> splice_header(Bytes tables, uint64_t segment_data_size) {
  ExtendedHeader header;
  header.program_size = tables.size() + kHeaderSize;
  header.segment_base = align_up(header.program_size, kSegmentAlignment);
  header.segment_data_size = segment_data_size;
  const auto encoded = encode(header);
  std::vector<std::byte> program(tables.begin(), tables.end());
  program.insert(program.begin() + kHeaderOffset, encoded.begin(), encoded.end());
  store(program.data(), static_cast<uint32_t>(load<uint32_t>(program.data()) + kHeaderSize));
  return program;
}

// Counts what passes, so that padding is right and a payload of another size than promised is seen.
class CountingSink : public Sink {
 public:
  explicit CountingSink(Sink& sink) : sink_(sink) {}
  Status write(Bytes bytes) override {
    written_ += bytes.size();
    return sink_.write(bytes);
  }
  uint64_t written() const { return written_; }

 private:
  Sink& sink_;
  uint64_t written_ = 0;
};

// The whole file.
class FileSource : public Source {
 public:
  FileSource(std::vector<std::byte> program, SegmentPlan plan)
      : program_(std::move(program)), plan_(std::move(plan)) {}

  uint64_t size() const override {
    return plan_.size() == 0 ? program_.size() : base() + plan_.size();
  }

  Status write_to(Sink& sink) const override {
    CountingSink out(sink);
    TRY(out.write(program_));
    for (const SegmentPlan::Piece& piece : plan_.pieces()) {
      if (piece.blob.size() == 0) continue;
      TRY(out.write_zeros(base() + piece.offset - out.written()));
      const uint64_t end = out.written() + piece.blob.size();
      TRY(piece.blob.write_to(out));
      if (out.written() != end) {
        return fail(ErrorCode::Internal, "a payload promised {} bytes and wrote {}",
                    piece.blob.size(), piece.blob.size() + out.written() - end);
      }
    }
    return out.write_zeros(size() - out.written());  // up to an empty last segment
  }

 private:
  uint64_t base() const { return align_up(program_.size(), kSegmentAlignment); }

  std::vector<std::byte> program_;
  SegmentPlan plan_;
};

}  // namespace

Result<SourceRef> write(Program program) {
  TRY(check(program));
  Plan plan = plan_segments(program);
  TableWriter tables(program, plan);
  const Bytes bytes = tables.write();
  std::vector<std::byte> head(bytes.begin(), bytes.end());
  if (plan.segments.size() > 0) head = splice_header(bytes, plan.segments.size());
  return std::make_shared<FileSource>(std::move(head), std::move(plan.segments));
}

}  // namespace diptych::pte
