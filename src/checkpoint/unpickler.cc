#include "checkpoint/unpickler.h"

#include <algorithm>
#include <bit>

#include "base/in_quotes.h"
#include "checkpoint/pickle_format.h"

namespace diptych::checkpoint {

namespace {

using Kind = PickleValue::Kind;

// Every global that is accepted, and the element type of those that are storage classes.
struct KnownGlobal {
  std::string_view name;
  std::optional<DType> dtype;
};
constexpr KnownGlobal kKnownGlobals[] = {
    {"collections OrderedDict", {}},         {"torch._utils _rebuild_tensor_v2", {}},
    {"torch._utils _rebuild_parameter", {}}, {"torch FloatStorage", DType::F32},
    {"torch HalfStorage", DType::F16},       {"torch BFloat16Storage", DType::BF16},
    {"torch DoubleStorage", DType::F64},     {"torch LongStorage", DType::Int64},
    {"torch IntStorage", DType::Int32},      {"torch ShortStorage", DType::Int16},
    {"torch CharStorage", DType::Int8},      {"torch ByteStorage", DType::UInt8},
    {"torch BoolStorage", DType::Bool},
};

class Unpickler {
 public:
  explicit Unpickler(Bytes pickle) : reader_(pickle), size_(pickle.size()) {}

  Result<Pickle> run() {
    for (;;) {
      const uint64_t at = reader_.offset();
      const auto stopped = step();
      if (!stopped) {
        return tl::unexpected(
            Error(stopped.error()).within(fmt::format("pickle opcode at offset {}", at)));
      }
      if (*stopped) return std::move(pickle_);
    }
  }

 private:
  // Executes one opcode; true after STOP.
  Result<bool> step() {
    const auto code = TRY(reader_.read<uint8_t>("opcode"));
    switch (static_cast<PickleOp>(code)) {
      case PickleOp::Proto:
        TRY(check_protocol());
        break;
      case PickleOp::Frame:
        TRY(check_frame());
        break;
      case PickleOp::Stop:
        TRY(stop());
        return true;
      case PickleOp::Mark:
        marks_.push_back(stack_.size());
        break;
      case PickleOp::None:
        TRY(push({}));
        break;
      case PickleOp::NewTrue:
        TRY(push_integer(Kind::Bool, 1));
        break;
      case PickleOp::NewFalse:
        TRY(push_integer(Kind::Bool, 0));
        break;
      case PickleOp::BinInt:
        TRY(push_integer(Kind::Int, TRY(reader_.read<int32_t>("integer"))));
        break;
      case PickleOp::BinInt1:
        TRY(push_integer(Kind::Int, TRY(reader_.read<uint8_t>("integer"))));
        break;
      case PickleOp::BinInt2:
        TRY(push_integer(Kind::Int, TRY(reader_.read<uint16_t>("integer"))));
        break;
      case PickleOp::Long1:
        TRY(push_long());
        break;
      case PickleOp::BinFloat:
        TRY(push_float());
        break;
      case PickleOp::ShortBinUnicode:
        TRY(push_text(TRY(reader_.read<uint8_t>("length of a text"))));
        break;
      case PickleOp::BinUnicode:
        TRY(push_text(TRY(reader_.read<uint32_t>("length of a text"))));
        break;
      case PickleOp::BinUnicode8:
        TRY(push_text(TRY(reader_.read<uint64_t>("length of a text"))));
        break;
      case PickleOp::EmptyTuple:
        TRY(push_container(Kind::Tuple, {}));
        break;
      case PickleOp::EmptyList:
        TRY(push_container(Kind::List, {}));
        break;
      case PickleOp::EmptyDict:
        TRY(push_container(Kind::Dict, {}));
        break;
      case PickleOp::Tuple:
        TRY(push_container(Kind::Tuple, TRY(pop_to_mark())));
        break;
      case PickleOp::Tuple1:
        TRY(push_container(Kind::Tuple, TRY(pop(1))));
        break;
      case PickleOp::Tuple2:
        TRY(push_container(Kind::Tuple, TRY(pop(2))));
        break;
      case PickleOp::Tuple3:
        TRY(push_container(Kind::Tuple, TRY(pop(3))));
        break;
      case PickleOp::Append:
        TRY(extend_top(Kind::List, TRY(pop(1))));
        break;
      case PickleOp::Appends:
        TRY(extend_top(Kind::List, TRY(pop_to_mark())));
        break;
      case PickleOp::SetItem:
        TRY(extend_top(Kind::Dict, TRY(pop(2))));
        break;
      case PickleOp::SetItems:
        TRY(extend_top(Kind::Dict, TRY(pop_to_mark())));
        break;
      case PickleOp::BinPut:
        TRY(memoize(TRY(reader_.read<uint8_t>("memo index"))));
        break;
      case PickleOp::LongBinPut:
        TRY(memoize(TRY(reader_.read<uint32_t>("memo index"))));
        break;
      case PickleOp::Memoize:
        TRY(memoize(static_cast<uint32_t>(memo_.size())));
        break;
      case PickleOp::BinGet:
        TRY(recall(TRY(reader_.read<uint8_t>("memo index"))));
        break;
      case PickleOp::LongBinGet:
        TRY(recall(TRY(reader_.read<uint32_t>("memo index"))));
        break;
      case PickleOp::Global:
        TRY(push_global());
        break;
      case PickleOp::StackGlobal:
        TRY(push_stack_global());
        break;
      case PickleOp::BinPersId:
        TRY(push_container(Kind::PersistentId, TRY(pop(1))));
        break;
      case PickleOp::Reduce:
        TRY(reduce());
        break;
      case PickleOp::Build:
        TRY(build());
        break;
      default:
        return unsupported(
            "opcode 0x{:02x} is not one that a state dict needs; save model.state_dict() with "
            "torch.save",
            code);
    }
    return false;
  }

  Status check_protocol() {
    const auto protocol = TRY(reader_.read<uint8_t>("protocol"));
    if (protocol < 2 || protocol > 5) {
      return unsupported("pickle protocol {}, expected 2 to 5", protocol);
    }
    return {};
  }

  Status check_frame() {
    const auto size = TRY(reader_.read<uint64_t>("frame size"));
    if (size > reader_.remaining()) {
      return invalid_data("a frame of {} bytes exceeds the {} that follow", size,
                          reader_.remaining());
    }
    return {};
  }

  Status stop() {
    if (stack_.size() != 1 || !marks_.empty()) {
      return invalid_data("expected one value at the end, found {} and {} marks", stack_.size(),
                          marks_.size());
    }
    if (reader_.remaining() > 0) {
      return invalid_data("{} bytes follow the end of the pickle", reader_.remaining());
    }
    pickle_.root = stack_[0];
    return {};
  }

  // --- The stack ---

  Status push(PickleValue value) {
    if (pickle_.values.size() >= kMaxPickleValues) {
      return unsupported("more than {} values", kMaxPickleValues);
    }
    stack_.push_back(static_cast<PickleId>(pickle_.values.size()));
    pickle_.values.push_back(std::move(value));
    return {};
  }

  // The top `count` values, none of them below the last mark.
  Result<std::vector<PickleId>> pop(size_t count) {
    const size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() - floor < count) {
      return invalid_data("expected {} values on the stack, found {}", count,
                          stack_.size() - floor);
    }
    const auto first = stack_.end() - static_cast<ptrdiff_t>(count);
    std::vector<PickleId> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    return values;
  }

  Result<std::vector<PickleId>> pop_to_mark() {
    if (marks_.empty()) return invalid_data("expected a mark on the stack, found none");
    auto values = TRY(pop(stack_.size() - marks_.back()));
    marks_.pop_back();
    return values;
  }

  Result<PickleId> top() const {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
      return invalid_data("expected a value on the stack, found none");
    }
    return stack_.back();
  }

  // --- Scalars ---

  Status push_integer(Kind kind, int64_t number) {
    PickleValue value;
    value.kind = kind;
    value.integer = number;
    return push(std::move(value));
  }

  // Little-endian two's complement of a given number of bytes.
  Status push_long() {
    const auto size = TRY(reader_.read<uint8_t>("size of an integer"));
    if (size > 8) return unsupported("an integer of {} bytes, expected at most 8", size);
    const Bytes digits = TRY(reader_.take(size, "integer"));
    const bool negative = size > 0 && (digits[size - 1] & std::byte{0x80}) != std::byte{0};
    int64_t number = negative ? -1 : 0;
    std::copy(digits.begin(), digits.end(), reinterpret_cast<std::byte*>(&number));
    return push_integer(Kind::Int, number);
  }

  // The only big-endian number in a pickle.
  Status push_float() {
    PickleValue value;
    value.kind = Kind::Float;
    value.number =
        std::bit_cast<double>(__builtin_bswap64(TRY(reader_.read<uint64_t>("floating point"))));
    return push(std::move(value));
  }

  Status push_text(uint64_t size) {
    PickleValue value;
    value.kind = Kind::Text;
    value.text = as_text(TRY(reader_.take(size, "text")));
    return push(std::move(value));
  }

  // --- Containers ---

  Status push_container(Kind kind, std::vector<PickleId> items) {
    TRY(push({}));
    pickle_.values.back().kind = kind;
    return extend(stack_.back(), std::move(items));
  }

  Status extend_top(Kind kind, std::vector<PickleId> items) {
    const PickleId id = TRY(top());
    const PickleValue& value = pickle_[id];
    if (value.kind != kind) {
      return invalid_data("expected a {} to add items to, found a {}", name(kind),
                          name(value.kind));
    }
    // What is contained in something else no longer changes, so that no value can get into itself.
    if (value.contained) {
      return unsupported("a {} changes after it became part of another value", name(kind));
    }
    if (kind == Kind::Dict && items.size() % 2 != 0) {
      return invalid_data("expected keys and values in turn, found {} of them", items.size());
    }
    return extend(id, std::move(items));
  }

  Status extend(PickleId id, std::vector<PickleId> items) {
    PickleValue& value = pickle_.values[id];
    for (const PickleId item : items) {
      if (item == id) return unsupported("a {} that contains itself", name(value.kind));
      PickleValue& child = pickle_.values[item];
      child.contained = true;
      value.depth = std::max(value.depth, static_cast<uint8_t>(child.depth + 1));
    }
    if (value.depth > kMaxPickleDepth) {
      return unsupported("values nested deeper than {}", kMaxPickleDepth);
    }
    if (value.items.empty()) {
      value.items = std::move(items);
    } else {
      value.items.insert(value.items.end(), items.begin(), items.end());
    }
    return {};
  }

  // --- Memo ---

  Status memoize(uint32_t index) {
    if (index >= size_) {
      return invalid_data("memo index {} in a pickle of {} bytes", index, size_);
    }
    if (index >= memo_.size()) memo_.resize(index + 1, kNothing);
    memo_[index] = TRY(top());
    return {};
  }

  Status recall(uint32_t index) {
    if (index >= memo_.size() || memo_[index] == kNothing) {
      return invalid_data("memo entry {} was never stored", index);
    }
    stack_.push_back(memo_[index]);
    return {};
  }

  // --- Globals and what would be calls ---

  Status push_known(std::string_view module, std::string_view global_name) {
    for (const KnownGlobal& known : kKnownGlobals) {
      if (known.name.size() == module.size() + 1 + global_name.size() &&
          known.name.starts_with(module) && known.name[module.size()] == ' ' &&
          known.name.ends_with(global_name)) {
        PickleValue value;
        value.kind = Kind::Global;
        value.text = known.name;
        return push(std::move(value));
      }
    }
    return unsupported(
        "refused the global {}: a state dict needs no such code; save model.state_dict() with "
        "torch.save",
        in_quotes(fmt::format("{} {}", module, global_name)));
  }

  Result<std::string_view> take_line() {
    ByteReader ahead = reader_;
    const std::string_view rest = as_text(TRY(ahead.take(ahead.remaining(), "global")));
    const size_t size = rest.find('\n');
    if (size == std::string_view::npos) return invalid_data("the name of a global does not end");
    TRY(reader_.skip(size + 1, "global"));
    return rest.substr(0, size);
  }

  Status push_global() {
    const std::string_view module = TRY(take_line());
    const std::string_view global_name = TRY(take_line());
    return push_known(module, global_name);
  }

  Status push_stack_global() {
    const std::vector<PickleId> names = TRY(pop(2));
    for (const PickleId id : names) {
      if (pickle_[id].kind != Kind::Text) {
        return invalid_data("expected the name of a global, found a {}", name(pickle_[id].kind));
      }
    }
    return push_known(pickle_[names[0]].text, pickle_[names[1]].text);
  }

  Status reduce() {
    std::vector<PickleId> call = TRY(pop(2));
    const PickleValue& callee = pickle_[call[0]];
    const PickleValue& arguments = pickle_[call[1]];
    if (callee.kind != Kind::Global || arguments.kind != Kind::Tuple) {
      return invalid_data("expected a global and a tuple to call it with, found a {} and a {}",
                          name(callee.kind), name(arguments.kind));
    }
    if (callee.text == "collections OrderedDict") {
      if (!arguments.items.empty()) {
        return unsupported("an OrderedDict made with {} arguments, expected none",
                           arguments.items.size());
      }
      return push_container(Kind::Dict, {});
    }
    return push_container(Kind::Call, std::move(call));
  }

  // Sets attributes; on an OrderedDict that is torch's `_metadata`, which says nothing of tensors.
  Status build() {
    TRY(pop(1));
    const PickleValue& value = pickle_[TRY(top())];
    if (value.kind != Kind::Dict) {
      return unsupported("attributes are set on a {}, expected on an OrderedDict only",
                         name(value.kind));
    }
    return {};
  }

  static constexpr PickleId kNothing = UINT32_MAX;

  ByteReader reader_;
  uint64_t size_;  // of the pickle; no honest one has more memo entries than bytes
  Pickle pickle_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;  // stack sizes
  std::vector<PickleId> memo_;
};

}  // namespace

std::string_view name(PickleValue::Kind kind) {
  switch (kind) {
    case Kind::None:
      return "None";
    case Kind::Bool:
      return "bool";
    case Kind::Int:
      return "int";
    case Kind::Float:
      return "float";
    case Kind::Text:
      return "str";
    case Kind::Tuple:
      return "tuple";
    case Kind::List:
      return "list";
    case Kind::Dict:
      return "dict";
    case Kind::Global:
      return "global";
    case Kind::Call:
      return "called object";
    case Kind::PersistentId:
      return "storage";
  }
  return "";
}

Result<Pickle> unpickle(Bytes pickle) {
  if (pickle.size() > kMaxPickleBytes) {
    return unsupported(
        "a pickle of {} bytes, expected at most {}: a state dict holds names and "
        "shapes only",
        pickle.size(), kMaxPickleBytes);
  }
  return Unpickler(pickle).run();
}

std::optional<DType> storage_dtype(std::string_view global) {
  for (const KnownGlobal& known : kKnownGlobals) {
    if (known.name == global) return known.dtype;
  }
  return std::nullopt;
}

std::string_view storage_class(DType dtype) {
  for (const KnownGlobal& known : kKnownGlobals) {
    if (known.dtype == dtype) return known.name;
  }
  return {};
}

}  // namespace diptych::checkpoint
