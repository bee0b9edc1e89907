#include "pte/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>

#include "base/utf8.h"
#include "program_generated.h"
#include "pte/check.h"
#include "pte/header.h"

namespace diptych::pte {

namespace {

template <class T>
using Vector = flatbuffers::Vector<T>;
template <class Table>
using Tables = flatbuffers::Vector<flatbuffers::Offset<Table>>;

constexpr uint32_t kMaxDepth = 16;  // the schema nests 7 tables
// The smallest table takes 4 bytes, so a file whose tables are not shared has fewer than this.
constexpr uint64_t kBytesPerTable = 4;
// Offsets may share what they point to, so a small file could unfold into a huge program. Writers
// share little; this is how often the program's bytes may be copied in all.
constexpr uint64_t kMaxCopies = 16;

// FlatBuffers need an aligned start; the file may be mapped or shifted anywhere.
class AlignedCopy {
 public:
  explicit AlignedCopy(Bytes bytes)
      : blocks_(std::make_unique<Block[]>(bytes.size() / sizeof(Block) + 1)) {
    std::memcpy(blocks_.get(), bytes.data(), bytes.size());
  }
  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(blocks_.get()); }

 private:
  struct alignas(16) Block {
    std::byte bytes[16];
  };
  std::unique_ptr<Block[]> blocks_;
};

// Turns verified tables into plain structs. Verified means: every table, vector and string lies in
// the copy; absent fields and meaningless values are still possible.
class Converter {
 public:
  Converter(Bytes file, uint64_t program_size, const uint8_t* copy)
      : file_(file), program_size_(program_size), copy_(copy), budget_(program_size * kMaxCopies) {}

  Result<Program> convert(const fb::Program& table, const std::optional<ExtendedHeader>& header) {
    if (table.version() != 0) {
      return unsupported("schema version {}, only 0 is known", table.version());
    }
    Program program;
    program.layout = {file_.size(), program_size_, {}};
    TRY(locate_segments(table, header, program.layout));
    segments_ = program.layout.segments;
    inline_data_ = table.backend_delegate_data();
    program.constants = TRY(constants(table));
    program.initial_states = TRY(initial_states(table));
    program.named_data = TRY(each(table.named_data(), "named data",
                                  [&](const auto& entry) { return named_data(entry); }));
    program.methods =
        TRY(each(table.execution_plan(), "method", [&](const auto& plan) { return method(plan); }));
    return program;
  }

 private:
  // --- vectors and strings ---

  Status spend(uint64_t bytes) {
    if (bytes > budget_) {
      return invalid_data("the tables unfold to more than {} times their size", kMaxCopies);
    }
    budget_ -= bytes;
    return {};
  }

  Result<std::string> text(const flatbuffers::String* string) {
    if (string == nullptr) return std::string();
    TRY(spend(string->size()));
    std::string text = string->str();
    if (!is_valid_utf8(text)) {
      return invalid_data("a string at offset {} is not UTF-8", offset_of(string));
    }
    return text;
  }

  template <class To, class From>
  Result<std::vector<To>> numbers(const Vector<From>* vector) {
    std::vector<To> items;
    if (vector == nullptr) return items;
    TRY(spend(uint64_t{vector->size()} * sizeof(From)));
    items.reserve(vector->size());
    // The verifier aligns a vector's length, not its 8-byte elements.
    for (uint32_t i = 0; i < vector->size(); ++i) {
      items.push_back(static_cast<To>(load<From>(vector->Data() + size_t{i} * sizeof(From))));
    }
    return items;
  }

  // The conversions of all tables of a vector; an error says which one it was.
  template <class Table, class Convert>
  auto each(const Tables<Table>* tables, std::string_view what, Convert convert)
      -> Result<std::vector<typename std::invoke_result_t<Convert, const Table&>::value_type>> {
    std::vector<typename std::invoke_result_t<Convert, const Table&>::value_type> items;
    if (tables == nullptr) return items;
    items.reserve(tables->size());
    for (uint32_t i = 0; i < tables->size(); ++i) {
      auto item = convert(*tables->Get(i));
      if (!item) {
        return tl::unexpected(std::move(item.error()).within(fmt::format("{} {}", what, i)));
      }
      items.push_back(std::move(*item));
    }
    return items;
  }

  template <class Enum>
  static Result<Enum> enumerator(int value, Enum last, std::string_view what) {
    if (value < 0 || value > static_cast<int>(last)) {
      return invalid_data("{} {} is not known", what, value);
    }
    return static_cast<Enum>(value);
  }

  uint64_t offset_of(const void* in_copy) const {
    return static_cast<uint64_t>(static_cast<const uint8_t*>(in_copy) - copy_);
  }
  // A byte vector as a view of the file rather than of the copy.
  Blob inline_blob(const Vector<uint8_t>* vector) const {
    if (vector == nullptr) return {};
    return Blob::view(file_.subspan(offset_of(vector->data()), vector->size()));
  }

  // --- segments ---

  Status locate_segments(const fb::Program& table, const std::optional<ExtendedHeader>& header,
                         Layout& layout) {
    const uint64_t base = header ? header->segment_base : 0;
    uint64_t limit = 0;  // without a segment base, only empty segments are possible
    if (base != 0) limit = header->segment_data_size;
    if (base != 0 && limit == 0) limit = file_.size() - base;
    layout.segments =
        TRY(each(table.segments(), "segment", [&](const auto& segment) -> Result<Layout::Segment> {
          if (!range_fits(segment.offset(), segment.size(), limit)) {
            return invalid_data("{} bytes at offset {} exceed the {} bytes of segment data",
                                segment.size(), segment.offset(), limit);
          }
          return Layout::Segment{base + segment.offset(), segment.size()};
        }));
    return check_overlap(layout.segments);
  }

  static Status check_overlap(std::vector<Layout::Segment> segments) {
    std::erase_if(segments, [](const auto& segment) { return segment.size == 0; });
    std::sort(segments.begin(), segments.end(),
              [](const auto& a, const auto& b) { return a.offset < b.offset; });
    for (size_t i = 1; i < segments.size(); ++i) {
      const Layout::Segment& before = segments[i - 1];
      if (before.offset + before.size > segments[i].offset) {
        return invalid_data("segments overlap: {} bytes at file offset {} and {} bytes at {}",
                            before.size, before.offset, segments[i].size, segments[i].offset);
      }
    }
    return {};
  }

  Result<Bytes> segment(uint32_t index) const {
    if (index >= segments_.size()) {
      return invalid_data("segment {} does not exist, there are {}", index, segments_.size());
    }
    return file_.subspan(segments_[index].offset, segments_[index].size);
  }

  // The entries of a segment: each ends where the next begins. Entry 0 stands for "no data".
  Result<std::vector<Blob>> entries(const fb::SubsegmentOffsets& table) {
    std::vector<Blob> blobs = {Blob{}};
    const auto offsets = TRY(numbers<uint64_t>(table.offsets()));
    if (offsets.empty()) return blobs;
    const Bytes bytes = TRY(segment(table.segment_index()));
    blobs.reserve(offsets.size());
    for (size_t i = 1; i < offsets.size(); ++i) {
      const uint64_t end = i + 1 < offsets.size() ? offsets[i + 1] : bytes.size();
      if (offsets[i] < offsets[i - 1] || offsets[i] > end || end > bytes.size()) {
        return invalid_data("entry {} at offset {} is out of order or outside its segment of {}", i,
                            offsets[i], bytes.size());
      }
      blobs.push_back(Blob::view(bytes.subspan(offsets[i], end - offsets[i])));
    }
    return blobs;
  }

  Result<std::vector<Blob>> constants(const fb::Program& table) {
    const auto* buffers = table.constant_buffer();
    const auto* offsets = table.constant_segment();
    const bool has_buffers = buffers != nullptr && buffers->size() > 0;
    const bool has_segment =
        offsets != nullptr && offsets->offsets() != nullptr && offsets->offsets()->size() > 0;
    if (has_buffers && has_segment) {
      return invalid_data("constants are given twice, as buffers and as a segment");
    }
    if (has_segment) return within("constant segment", entries(*offsets));
    std::vector<Blob> blobs = {Blob{}};
    for (uint32_t i = 1; has_buffers && i < buffers->size(); ++i) {
      blobs.push_back(inline_blob(buffers->Get(i)->storage()));
    }
    return blobs;
  }

  Result<std::vector<Blob>> initial_states(const fb::Program& table) {
    const auto* sets = table.mutable_data_segments();
    if (sets == nullptr || sets->size() == 0) return std::vector<Blob>{Blob{}};
    if (sets->size() > 1) return unsupported("{} sets of mutable data, at most 1", sets->size());
    return within("mutable data segment", entries(*sets->Get(0)));
  }

  Result<NamedData> named_data(const fb::NamedData& table) {
    NamedData entry;
    entry.key = TRY(text(table.key()));
    entry.data = Blob::view(TRY(segment(table.segment_index())));
    return entry;
  }

  // --- methods ---

  Result<Method> method(const fb::ExecutionPlan& table) {
    Method method;
    method.name = TRY(text(table.name()));
    if (const auto* specs = table.container_meta_type()) {
      method.input_spec = TRY(text(specs->encoded_inp_str()));
      method.output_spec = TRY(text(specs->encoded_out_str()));
    }
    method.values =
        TRY(each(table.values(), "value", [&](const auto& entry) { return value(entry); }));
    method.inputs = TRY(numbers<int32_t>(table.inputs()));
    method.outputs = TRY(numbers<int32_t>(table.outputs()));
    method.operators =
        TRY(each(table.operators(), "operator", [&](const auto& entry) -> Result<Operator> {
          Operator op;
          op.name = TRY(text(entry.name()));
          op.overload = TRY(text(entry.overload()));
          return op;
        }));
    method.delegates = TRY(
        each(table.delegates(), "delegate", [&](const auto& entry) { return delegate(entry); }));
    const auto* chains = table.chains();
    if (chains == nullptr || chains->size() != 1) {
      return unsupported("method '{}' has {} chains of instructions, expected 1", method.name,
                         chains == nullptr ? 0 : chains->size());
    }
    method.instructions = TRY(each(chains->Get(0)->instructions(), "instruction",
                                   [&](const auto& entry) { return instruction(entry); }));
    method.arena_sizes = TRY(numbers<int64_t>(table.non_const_buffer_sizes()));
    method.arena_devices = TRY(
        each(table.non_const_buffer_device(), "arena device",
             [&](const auto& entry) -> Result<ArenaDevice> {
               return ArenaDevice{entry.buffer_idx(),
                                  TRY(enumerator(entry.device_type(), Device::Cuda, "device type")),
                                  entry.device_index()};
             }));
    return method;
  }

  Result<Delegate> delegate(const fb::BackendDelegate& table) {
    Delegate delegate;
    delegate.backend = TRY(text(table.id()));
    delegate.compile_specs = TRY(
        each(table.compile_specs(), "compile spec", [&](const auto& spec) -> Result<CompileSpec> {
          std::string key = TRY(text(spec.key()));
          const auto bytes = TRY(numbers<char>(spec.value()));
          return CompileSpec{std::move(key), std::string(bytes.begin(), bytes.end())};
        }));
    delegate.processed = TRY(payload(table.processed()));
    return delegate;
  }

  Result<Blob> payload(const fb::BackendDelegateDataReference* reference) {
    enum class Location : int8_t { Inline, Segment };
    if (reference == nullptr) return invalid_data("it has no payload");
    const uint32_t index = reference->index();
    if (TRY(enumerator(reference->location(), Location::Segment, "payload location")) ==
        Location::Segment) {
      return Blob::view(TRY(segment(index)));
    }
    const uint32_t count = inline_data_ == nullptr ? 0 : inline_data_->size();
    if (index >= count) {
      return invalid_data("inline payload {} does not exist, there are {}", index, count);
    }
    return inline_blob(inline_data_->Get(index)->data());
  }

  Result<EValue> value(const fb::EValue& entry) {
    const fb::KernelTypes type = entry.val_type();
    if (type == fb::KernelTypes::Null) return EValue(None{});
    if (type != fb::KernelTypes::NONE && entry.val() == nullptr) {
      return invalid_data("it has a type but no value");
    }
    switch (type) {
      case fb::KernelTypes::Int:
        return EValue(entry.val_as_Int()->int_val());
      case fb::KernelTypes::Bool:
        return EValue(entry.val_as_Bool()->bool_val());
      case fb::KernelTypes::Double:
        return EValue(entry.val_as_Double()->double_val());
      case fb::KernelTypes::Tensor:
        return EValue(TRY(tensor(*entry.val_as_Tensor())));
      case fb::KernelTypes::String:
        return EValue(TRY(text(entry.val_as_String()->string_val())));
      case fb::KernelTypes::IntList:
        return EValue(IntList{TRY(numbers<int64_t>(entry.val_as_IntList()->items()))});
      case fb::KernelTypes::DoubleList:
        return EValue(DoubleList{TRY(numbers<double>(entry.val_as_DoubleList()->items()))});
      case fb::KernelTypes::BoolList:
        return EValue(BoolList{TRY(numbers<bool>(entry.val_as_BoolList()->items()))});
      case fb::KernelTypes::TensorList:
        return EValue(TensorList{TRY(numbers<int32_t>(entry.val_as_TensorList()->items()))});
      case fb::KernelTypes::OptionalTensorList:
        return EValue(
            OptionalTensorList{TRY(numbers<int32_t>(entry.val_as_OptionalTensorList()->items()))});
      default:
        return invalid_data("value type {} is not known", static_cast<int>(type));
    }
  }

  Result<Tensor> tensor(const fb::Tensor& table) {
    if (table.sizes() == nullptr) return invalid_data("a tensor has no sizes");
    if (table.storage_offset() != 0) {
      return unsupported("a tensor starts at element {} of its storage, only 0 is possible",
                         table.storage_offset());
    }
    Tensor tensor;
    tensor.scalar_type = static_cast<ScalarType>(table.scalar_type());
    tensor.sizes = TRY(numbers<int64_t>(table.sizes()));
    tensor.dim_order = TRY(numbers<uint8_t>(table.dim_order()));
    tensor.data = table.data_buffer_idx();
    if (const auto* place = table.allocation_info()) {
      const uint64_t high = place->memory_offset_high();
      tensor.allocation = Allocation{place->memory_id(), high << 32 | place->memory_offset_low()};
    }
    tensor.dynamism =
        TRY(enumerator(table.shape_dynamism(), ShapeDynamism::UnboundedDynamic, "shape dynamism"));
    if (const auto* info = table.extra_tensor_info()) tensor.extra = TRY(extra(*info));
    return tensor;
  }

  Result<ExtraTensorInfo> extra(const fb::ExtraTensorInfo& table) {
    if (table.mutable_data_segments_idx() != 0) {
      return invalid_data("mutable data set {} does not exist", table.mutable_data_segments_idx());
    }
    ExtraTensorInfo info;
    info.qualified_name = TRY(text(table.fully_qualified_name()));
    info.location = TRY(enumerator(table.location(), DataLocation::External, "data location"));
    info.device = TRY(enumerator(table.device_type(), Device::Cuda, "device type"));
    info.device_index = table.device_index();
    return info;
  }

  Result<Instruction> instruction(const fb::Instruction& entry) {
    if (entry.instr_args() == nullptr) return invalid_data("it has no arguments");
    if (const auto* call = entry.instr_args_as_KernelCall()) {
      return Instruction(KernelCall{call->op_index(), TRY(numbers<int32_t>(call->args()))});
    }
    if (const auto* call = entry.instr_args_as_DelegateCall()) {
      return Instruction(DelegateCall{call->delegate_index(), TRY(numbers<int32_t>(call->args()))});
    }
    if (const auto* call = entry.instr_args_as_MoveCall()) {
      return Instruction(MoveCall{call->move_from(), call->move_to()});
    }
    if (const auto* call = entry.instr_args_as_JumpFalseCall()) {
      return Instruction(JumpFalseCall{call->cond_value_index(), call->destination_instruction()});
    }
    if (const auto* call = entry.instr_args_as_FreeCall()) {
      return Instruction(FreeCall{call->value_index()});
    }
    return invalid_data("its kind {} is not known", static_cast<int>(entry.instr_args_type()));
  }

  Bytes file_;
  uint64_t program_size_;
  const uint8_t* copy_;
  uint64_t budget_;
  std::vector<Layout::Segment> segments_;
  const Tables<fb::BackendDelegateInlineData>* inline_data_ = nullptr;
};

// Entries are stored without their sizes and padded: cuts each down to the largest tensor that uses
// it. check() has seen that it is large enough.
Status trim_entries(Program& program) {
  std::vector<uint64_t> constants(program.constants.size()), states(program.initial_states.size());
  for (const Method& method : program.methods) {
    for (const EValue& value : method.values) {
      const auto* tensor = std::get_if<Tensor>(&value);
      if (tensor == nullptr || tensor->data == 0 || tensor->is_external()) continue;
      uint64_t& used = (tensor->allocation ? states : constants)[tensor->data];
      used = std::max(used, TRY(byte_size(*tensor)));
    }
  }
  const auto trim = [](std::vector<Blob>& blobs, const std::vector<uint64_t>& used) {
    for (size_t i = 0; i < blobs.size(); ++i) {
      if (used[i] > 0) blobs[i] = blobs[i].first(used[i]);
    }
  };
  trim(program.constants, constants);
  trim(program.initial_states, states);
  return {};
}

}  // namespace

Result<Program> read(Bytes file) {
  const auto header = TRY(read_header(file));
  if (as_text(file.subspan(4, 4)) != fb::ProgramIdentifier()) {
    return invalid_data(
        "not an ExecuTorch program: expected the identifier {} at offset 4, found bytes {:02x}",
        fb::ProgramIdentifier(), fmt::join(file.subspan(4, 4), " "));
  }
  const uint64_t program_size = header ? header->program_size : file.size();
  if (program_size >= FLATBUFFERS_MAX_BUFFER_SIZE) {
    return unsupported("program of {} bytes, FlatBuffers end at {}", program_size,
                       FLATBUFFERS_MAX_BUFFER_SIZE);
  }
  const AlignedCopy copy(file.first(program_size));
  const auto max_tables = static_cast<uint32_t>(program_size / kBytesPerTable);
  flatbuffers::Verifier verifier(copy.data(), program_size, kMaxDepth, max_tables);
  if (!verifier.VerifyBuffer<fb::Program>(fb::ProgramIdentifier())) {
    return invalid_data(
        "the program's tables (FlatBuffers, {} bytes) are damaged: offsets or lengths lead outside",
        program_size);
  }
  const auto* table = flatbuffers::GetRoot<fb::Program>(copy.data());
  Program program = TRY(Converter(file, program_size, copy.data()).convert(*table, header));
  TRY(check(program));
  TRY(trim_entries(program));
  return program;
}

}  // namespace diptych::pte
