#include "coreml/proto_reader.h"

#include <exception>
#include <protozero/pbf_reader.hpp>
#include <vector>

#include "coreml/side_by_side.h"

namespace diptych::coreml {

namespace {

using protozero::pbf_reader;
using Wire = protozero::pbf_wire_type;

// A field with its encoding, for a switch over pbf_reader::tag_and_type. A known field in another
// encoding is skipped like an unknown one.
constexpr uint32_t number(uint32_t field) { return protozero::tag_and_type(field, Wire::varint); }
constexpr uint32_t nested(uint32_t field) {
  return protozero::tag_and_type(field, Wire::length_delimited);
}
constexpr uint32_t fixed32(uint32_t field) { return protozero::tag_and_type(field, Wire::fixed32); }
constexpr uint32_t fixed64(uint32_t field) { return protozero::tag_and_type(field, Wire::fixed64); }

std::string_view text(pbf_reader& in) {
  const protozero::data_view view = in.get_view();
  return {view.data(), view.size()};
}

// A bool: get_bool() looks at its byte before it has seen that there is one.
bool flag(pbf_reader& in) { return in.get_uint64() != 0; }

// The alternative T of a oneof, made the current one.
template <class T, class Oneof>
T& select(Oneof& oneof) {
  if (T* current = std::get_if<T>(&oneof)) return *current;
  return oneof.template emplace<T>();
}

template <size_t index, class Oneof>
auto& select_at(Oneof& oneof) {
  if (oneof.index() != index) oneof.template emplace<index>();
  return std::get<index>(oneof);
}

template <class T>
void append(std::vector<T>& list, const auto& range) {
  for (const auto value : range) list.push_back(static_cast<T>(value));
}

template <class T>
void read_entry(pbf_reader in, proto::Map<T>& map);

// The entries of a program's map of functions, which make up nearly all of a model file.
class FunctionEntries {
 public:
  explicit FunctionEntries(ThreadPool* pool) : pool_(pool) {}

  // Reads `entry` into `functions`, at the latest when read() is called.
  void add(pbf_reader entry, proto::Map<proto::Function>& functions);
  // Throws the first entry's exception.
  void read(proto::Map<proto::Function>& functions);

 private:
  // At a time, so that little is kept of entries that are replaced by later ones.
  static constexpr size_t kMaxEntries = 64;

  ThreadPool* pool_;
  std::vector<pbf_reader> entries_;
};

void read(pbf_reader in, proto::Dimension& out) {
  while (in.next()) {
    if (in.tag_and_type() != nested(proto::Dimension::kConstant)) {
      if (in.tag() == proto::Dimension::kUnknown) out.size.reset();
      in.skip();
      continue;
    }
    pbf_reader constant = in.get_message();
    if (!out.size) out.size = 0;
    while (constant.next()) {
      if (constant.tag_and_type() == number(proto::Dimension::kSize)) {
        out.size = constant.get_uint64();
      } else {
        constant.skip();
      }
    }
  }
}

void read(pbf_reader in, proto::TensorType& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case number(proto::TensorType::kDataType):
        out.data_type = in.get_int32();
        break;
      case number(proto::TensorType::kRank):
        out.rank = in.get_int64();
        break;
      case nested(proto::TensorType::kDimensions):
        read(in.get_message(), out.dimensions.emplace_back());
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::ValueType& out) {
  while (in.next()) {
    const uint32_t field = in.tag();
    if (field > proto::ValueType::kState || in.wire_type() != Wire::length_delimited) {
      in.skip();
      continue;
    }
    if (out.type != field) out.tensor = {};
    out.type = field;
    if (field == proto::ValueType::kTensor) {
      read(in.get_message(), out.tensor);
    } else {
      in.skip();
    }
  }
}

void read(pbf_reader in, proto::NamedValueType& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::NamedValueType::kName):
        out.name = text(in);
        break;
      case nested(proto::NamedValueType::kType):
        read(in.get_message(), out.type);
        break;
      default:
        in.skip();
    }
  }
}

// The messages of TensorValue have one field, repeated but for raw. Numbers come packed or one by
// one.
void read_elements(pbf_reader in, proto::TensorValue::Floats& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::TensorValue::kValues):
        append(out, in.get_packed_float());
        break;
      case fixed32(proto::TensorValue::kValues):
        out.push_back(in.get_float());
        break;
      default:
        in.skip();
    }
  }
}

void read_elements(pbf_reader in, proto::TensorValue::Doubles& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::TensorValue::kValues):
        append(out, in.get_packed_double());
        break;
      case fixed64(proto::TensorValue::kValues):
        out.push_back(in.get_double());
        break;
      default:
        in.skip();
    }
  }
}

// Ints, long ints and bools.
template <class T>
void read_elements(pbf_reader in, std::vector<T>& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::TensorValue::kValues):
        if constexpr (sizeof(T) == 1) {
          append(out, in.get_packed_bool());
        } else {
          append(out, in.get_packed_int64());
        }
        break;
      case number(proto::TensorValue::kValues):
        out.push_back(sizeof(T) == 1 ? static_cast<T>(flag(in)) : static_cast<T>(in.get_int64()));
        break;
      default:
        in.skip();
    }
  }
}

void read_elements(pbf_reader in, proto::TensorValue::Strings& out) {
  while (in.next(proto::TensorValue::kValues, Wire::length_delimited)) out.push_back(text(in));
}

void read_elements(pbf_reader in, proto::TensorValue::Raw& out) {
  while (in.next(proto::TensorValue::kValues, Wire::length_delimited)) out = text(in);
}

void read(pbf_reader in, proto::TensorValue& out) {
  const auto elements = [&]<uint32_t field>() {
    read_elements(in.get_message(), select_at<field>(out.value));
  };
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::TensorValue::kFloats):
        elements.operator()<proto::TensorValue::kFloats>();
        break;
      case nested(proto::TensorValue::kInts):
        elements.operator()<proto::TensorValue::kInts>();
        break;
      case nested(proto::TensorValue::kBools):
        elements.operator()<proto::TensorValue::kBools>();
        break;
      case nested(proto::TensorValue::kStrings):
        elements.operator()<proto::TensorValue::kStrings>();
        break;
      case nested(proto::TensorValue::kLongInts):
        elements.operator()<proto::TensorValue::kLongInts>();
        break;
      case nested(proto::TensorValue::kDoubles):
        elements.operator()<proto::TensorValue::kDoubles>();
        break;
      case nested(proto::TensorValue::kRaw):
        elements.operator()<proto::TensorValue::kRaw>();
        break;
      default:
        in.skip();
    }
  }
}

// The tensor that an entry of a list holds; nothing where it is something else.
void read_list_entry(pbf_reader in, proto::TensorValue& out) {
  while (in.next(proto::Value::kImmediate, Wire::length_delimited)) {
    pbf_reader immediate = in.get_message();
    while (immediate.next(proto::ImmediateValue::kTensor, Wire::length_delimited)) {
      read(immediate.get_message(), out);
    }
  }
}

void read_list(pbf_reader in, std::vector<proto::TensorValue>& out) {
  while (in.next(proto::ImmediateValue::kEntries, Wire::length_delimited)) {
    read_list_entry(in.get_message(), out.emplace_back());
  }
}

void read(pbf_reader in, proto::ImmediateValue& out) {
  while (in.next()) {
    const uint32_t field = in.tag();
    if (field > proto::ImmediateValue::kDictionary || in.wire_type() != Wire::length_delimited) {
      in.skip();
      continue;
    }
    if (out.value != field) {
      out.tensor = {};
      out.list.clear();
    }
    out.value = field;
    if (field == proto::ImmediateValue::kTensor) {
      read(in.get_message(), out.tensor);
    } else if (field == proto::ImmediateValue::kList) {
      read_list(in.get_message(), out.list);
    } else {
      in.skip();
    }
  }
}

void read(pbf_reader in, proto::BlobFileValue& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::BlobFileValue::kFileName):
        out.file_name = text(in);
        break;
      case number(proto::BlobFileValue::kOffset):
        out.offset = in.get_uint64();
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Value& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::Value::kType):
        read(in.get_message(), out.type);
        break;
      case nested(proto::Value::kImmediate):
        read(in.get_message(), select<proto::ImmediateValue>(out.value));
        break;
      case nested(proto::Value::kBlobFile):
        read(in.get_message(), select<proto::BlobFileValue>(out.value));
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Binding& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::Binding::kName):
        out.binding = text(in);
        break;
      case nested(proto::Binding::kValue):
        read(in.get_message(), select<proto::Value>(out.binding));
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Argument& out) {
  while (in.next(proto::Argument::kArguments, Wire::length_delimited)) {
    read(in.get_message(), out.arguments.emplace_back());
  }
}

void read(pbf_reader in, proto::Operation& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::Operation::kType):
        out.type = text(in);
        break;
      case nested(proto::Operation::kInputs):
        read_entry(in.get_message(), out.inputs);
        break;
      case nested(proto::Operation::kOutputs):
        read(in.get_message(), out.outputs.emplace_back());
        break;
      case nested(proto::Operation::kBlocks):
        out.has_blocks = true;
        in.skip();
        break;
      case nested(proto::Operation::kAttributes):
        read_entry(in.get_message(), out.attributes);
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Block& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::Block::kOutputs):
        out.outputs.push_back(text(in));
        break;
      case nested(proto::Block::kOperations):
        read(in.get_message(), out.operations.emplace_back());
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Function& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::Function::kInputs):
        read(in.get_message(), out.inputs.emplace_back());
        break;
      case nested(proto::Function::kOpset):
        out.opset = text(in);
        break;
      case nested(proto::Function::kBlockSpecializations):
        read_entry(in.get_message(), out.block_specializations);
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Program& out, FunctionEntries& functions) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case number(proto::Program::kVersion):
        out.version = in.get_int64();
        break;
      case nested(proto::Program::kFunctions):
        functions.add(in.get_message(), out.functions);
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::ArrayFeatureType& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::ArrayFeatureType::kShape):
        append(out.shape, in.get_packed_int64());
        break;
      case number(proto::ArrayFeatureType::kShape):
        out.shape.push_back(in.get_int64());
        break;
      case number(proto::ArrayFeatureType::kDataType):
        out.data_type = in.get_int32();
        break;
      case nested(proto::ArrayFeatureType::kEnumeratedShapes):
      case nested(proto::ArrayFeatureType::kShapeRange):
        out.flexibility = in.tag();
        in.skip();
        break;
      case number(proto::ArrayFeatureType::kIntDefault):
        out.default_value = in.get_int32();
        break;
      case fixed32(proto::ArrayFeatureType::kFloatDefault):
        out.default_value = in.get_float();
        break;
      case fixed64(proto::ArrayFeatureType::kDoubleDefault):
        out.default_value = in.get_double();
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::FeatureType& out) {
  while (in.next()) {
    if (in.tag_and_type() == number(proto::FeatureType::kIsOptional)) {
      out.is_optional = flag(in);
      continue;
    }
    const uint32_t field = in.tag();
    if (field > proto::FeatureType::kState || in.wire_type() != Wire::length_delimited) {
      in.skip();
      continue;
    }
    if (out.type != field) out.multi_array = {};
    out.type = field;
    if (field == proto::FeatureType::kMultiArray) {
      read(in.get_message(), out.multi_array);
    } else {
      in.skip();
    }
  }
}

void read(pbf_reader in, proto::FeatureDescription& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::FeatureDescription::kName):
        out.name = text(in);
        break;
      case nested(proto::FeatureDescription::kType):
        read(in.get_message(), out.type);
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::FunctionDescription& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::FunctionDescription::kName):
        out.name = text(in);
        break;
      case nested(proto::FunctionDescription::kInput):
        read(in.get_message(), out.input.emplace_back());
        break;
      case nested(proto::FunctionDescription::kOutput):
        read(in.get_message(), out.output.emplace_back());
        break;
      case nested(proto::FunctionDescription::kState):
        read(in.get_message(), out.state.emplace_back());
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Metadata& out) {
  while (in.next(proto::Metadata::kUserDefined, Wire::length_delimited)) {
    read_entry(in.get_message(), out.user_defined);
  }
}

void read(pbf_reader in, proto::ModelDescription& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::ModelDescription::kInput):
        read(in.get_message(), out.input.emplace_back());
        break;
      case nested(proto::ModelDescription::kOutput):
        read(in.get_message(), out.output.emplace_back());
        break;
      case nested(proto::ModelDescription::kState):
        read(in.get_message(), out.state.emplace_back());
        break;
      case nested(proto::ModelDescription::kFunctions):
        read(in.get_message(), out.functions.emplace_back());
        break;
      case nested(proto::ModelDescription::kDefaultFunctionName):
        out.default_function_name = text(in);
        break;
      case nested(proto::ModelDescription::kMetadata):
        read(in.get_message(), out.metadata);
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, proto::Model& out, FunctionEntries& functions) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case number(proto::Model::kSpecificationVersion):
        out.specification_version = in.get_int32();
        break;
      case nested(proto::Model::kDescription):
        read(in.get_message(), out.description);
        break;
      case number(proto::Model::kIsUpdatable):
        out.is_updatable = flag(in);
        break;
      case nested(proto::Model::kMlProgram):
        out.kind = proto::Model::kMlProgram;
        read(in.get_message(), out.ml_program, functions);
        break;
      default:
        if (in.tag() >= proto::Model::kFirstKind) out.kind = in.tag();
        in.skip();
    }
  }
}

// An entry of a map; of two with the same key the later wins.
template <class T>
void read_entry(pbf_reader in, proto::Map<T>& map) {
  std::string_view key;
  T value{};
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(proto::kKey):
        key = text(in);
        break;
      case nested(proto::kValue):
        if constexpr (std::is_same_v<T, std::string_view>) {
          value = text(in);
        } else {
          read(in.get_message(), value);
        }
        break;
      default:
        in.skip();
    }
  }
  map[key] = std::move(value);
}

void FunctionEntries::add(pbf_reader entry, proto::Map<proto::Function>& functions) {
  entries_.push_back(entry);
  if (entries_.size() == kMaxEntries) read(functions);
}

void FunctionEntries::read(proto::Map<proto::Function>& functions) {
  std::vector<proto::Map<proto::Function>> read(entries_.size());
  std::vector<std::exception_ptr> thrown(entries_.size());
  side_by_side(pool_, entries_.size(), [&](size_t i) {
    try {
      read_entry(entries_[i], read[i]);
    } catch (const protozero::exception&) {
      thrown[i] = std::current_exception();
    }
  });
  entries_.clear();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
  for (auto& one : read) {
    for (auto& [name, function] : one) functions[name] = std::move(function);
  }
}

}  // namespace

Result<proto::Model> read_proto(Bytes mlmodel, ThreadPool* pool) {
  proto::Model model;
  FunctionEntries functions(pool);
  try {
    read(pbf_reader(reinterpret_cast<const char*>(mlmodel.data()), mlmodel.size()), model,
         functions);
    functions.read(model.ml_program.functions);
  } catch (const protozero::exception& error) {
    return invalid_data("not a Core ML model: malformed or cut off ({})", error.what());
  }
  return model;
}

}  // namespace diptych::coreml
